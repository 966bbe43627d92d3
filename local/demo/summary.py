"""The demo's last screen: what was made and where it is now, and the addresses."""

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from include.contracts import topics
from include.contracts.settings import Settings
from include.serving.queries import Kpi
from local.airflow_login import login, viewer_login
from local.demo.nightly_run import Night
from local.demo.nightly_tables import Told
from local.demo.progress import roughly
from local.demo.run import Outcome
from local.layout import Layout
from local.servers import mlflow

REJECTED = "rejected: "
COMMON = 3
"""Reasons that are named."""


def screen(settings: Settings, outcome: Outcome, night: Night | None, seconds: float) -> RenderableType:
    """Everything that fits one screen."""
    numbers, places = Table.grid(padding=(0, 3)), Table.grid(padding=(0, 3))
    numbers.add_column(justify="left", no_wrap=True)
    numbers.add_column(justify="right", no_wrap=True)
    for row in (*_sessions(outcome), *_learned(night)):
        numbers.add_row(f"  {row[0]}", *row[1:])
    for name, address, hint in addresses(settings):
        places.add_row(f"  {name}", address, hint)
    return Group(_verdict(outcome, night, seconds), Text(), numbers, Text(), places, Text(), FAREWELL)


FAREWELL = Text(
    "It goes on running, with new sessions every ten minutes.  Look: ./showroom status   Stop: ./showroom down"
)


def wrong(outcome: Outcome, night: Night | None) -> list[str]:
    """What did not end as it should."""
    found = [] if outcome.exact else ["the account does not balance, see its differences above"]
    if night is not None and not night.complete:
        found.append("the nightly run is not complete, see its errors above")
    return found


def addresses(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Name, address and login of what a person may open."""
    layout = Layout.of(settings)
    user, password = login(layout)
    viewer, viewer_password = viewer_login(layout)
    keys = mlflow.read_keys(layout)
    yield "Airflow", settings.airflow_url, f"user {user}, password {password}"
    yield (
        "  dashboards",
        f"{settings.airflow_url}/plugin/showroom-live",
        f"read-only: user {viewer}, password {viewer_password}",
    )
    yield "  stream", f"{settings.airflow_url}/plugin/showroom-stream", "for operators"
    yield "MLflow", settings.mlflow_url, f"user {mlflow.USER}, password {keys.password if keys else '-'}"
    yield "Flink", settings.flink_url, ""
    yield "Elasticsearch", settings.elasticsearch_url, ""
    yield "Kafka", settings.kafka_bootstrap, ""


def _verdict(outcome: Outcome, night: Night | None, seconds: float) -> Text:
    if found := wrong(outcome, night):
        return Text(f"\nShowroom runs, but {'; '.join(found)}.", style="bold red")
    return Text(
        f"\nShowroom runs, and every single record is accounted for. It took {roughly(seconds)}.", style="bold green"
    )


def _sessions(outcome: Outcome) -> Iterator[tuple[str, str, str]]:
    found = {line.what: line.found for line in outcome.lines}
    refused = {what.removeprefix(REJECTED): count for what, count in found.items() if what.startswith(REJECTED)}
    common = sorted(refused.items(), key=lambda pair: -pair[1])[:COMMON]
    # Only a log has no freshness: its sessions are years old.
    sent = "records of the log" if outcome.freshness is None else "records, planted faults among them"
    yield "sent", _number(found.get(topics.RAW, 0)), sent
    places = {"searchable": found.get("session_summary"), "archived": found.get("sessions in MongoDB")}
    held = ", ".join(f"{_number(count)} {place}" for place, count in places.items() if count is not None)
    yield "admitted", _number(found.get(topics.VALID, 0)), held
    yield "refused", _number(sum(refused.values())), ", ".join(f"{reason} {count:,.0f}" for reason, count in common)
    total = next((kpi for kpi in outcome.kpis if kpi.category == "all"), None)
    yield from _money(total)
    if outcome.freshness is not None:
        fresh = outcome.freshness
        yield "fresh", f"{fresh.p95_s:.2f} s", f"p95 from produced to searchable, p50 {fresh.p50_s:.2f} s"


def _money(total: Kpi | None) -> Iterator[tuple[str, str, str]]:
    if total is not None:
        told = f"revenue; {total.purchases:,} purchases, conversion {total.conversion:.1%}"
        yield "sold", _number(round(total.revenue)), told


def _learned(night: Night | None) -> Iterator[tuple[str, str, str]]:
    told: dict[str, Any] = night.told if night is not None else {}
    train: Told = told.get("train") or {}
    model = train.get("models", {}).get(train.get("best"))
    if model:
        found = model["intervals"]["roc_auc"]
        ceiling = f"; the shop's own ceiling is {train['oracle_auc']:.3f}" if train.get("oracle_auc") else ""
        kind = str(train["best"]).replace("_", " ")
        told_of = f"ROC-AUC of {kind} on later visits, {found['low']:.3f} to {found['high']:.3f}{ceiling}"
        yield "best model", f"{found['value']:.3f}", told_of
    privacy: Told = told.get("privacy") or {}
    if privacy.get("spent") is not None:
        yield "epsilon", f"{privacy['spent']:.2f}", f"spent by all nights, of {privacy['budget']:g}"
    similar: Told = told.get("similar") or {}
    if similar:
        yield "alike", _number(similar["with_neighbours"]), f"of {similar['users']:,} users have neighbours"


def _number(value: float) -> str:
    return f"{value:,.0f}"
