"""The demo's last screen: counts by stage, and the addresses."""

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from include.contracts import topics
from include.contracts.settings import Settings
from include.serving.queries import Kpi
from local.airflow_login import login, viewer_login
from local.demo.nightly_run import NightlyRunResult
from local.demo.nightly_tables import Summary
from local.demo.progress import format_duration
from local.demo.run import DemoResult
from local.layout import Layout
from local.servers import mlflow

REJECTED = "rejected: "
COMMON = 3
"""Number of reject reasons in the summary."""


def render_summary(
    settings: Settings, result: DemoResult, nightly: NightlyRunResult | None, seconds: float
) -> RenderableType:
    """Render everything on one screen."""
    numbers, locations = Table.grid(padding=(0, 3)), Table.grid(padding=(0, 3))
    numbers.add_column(justify="left", no_wrap=True)
    numbers.add_column(justify="right", no_wrap=True)
    for row in (*_sessions(result), *_learned(nightly)):
        numbers.add_row(f"  {row[0]}", *row[1:])
    for name, address, hint in addresses(settings):
        locations.add_row(f"  {name}", address, hint)
    return Group(_verdict(result, nightly, seconds), Text(), numbers, Text(), locations, Text(), FAREWELL)


FAREWELL = Text(
    "It keeps running, with new sessions every ten minutes.  Status: ./showroom status   Stop: ./showroom down"
)


def find_problems(result: DemoResult, nightly: NightlyRunResult | None) -> list[str]:
    """Return the problems of the demo, one text each; empty without problems."""
    problems = [] if result.exact else ["the counts of some stages differ, see above"]
    if nightly is not None and not nightly.complete:
        problems.append("the nightly run is not complete, see its errors above")
    return problems


def addresses(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Return name, address and login of each page."""
    layout = Layout.of(settings.local)
    user, password = login(layout)
    viewer, viewer_password = viewer_login(layout)
    keys = mlflow.read_keys(layout)
    yield "Airflow", settings.airflow.url, f"user {user}, password {password}"
    yield (
        "  dashboards",
        f"{settings.airflow.url}/plugin/showroom-live",
        f"read-only: user {viewer}, password {viewer_password}",
    )
    yield "  stream", f"{settings.airflow.url}/plugin/showroom-stream", "for operators"
    yield "MLflow", settings.mlflow.url, f"user {mlflow.USER}, password {keys.password if keys else '-'}"
    yield "Flink", settings.flink.url, ""
    yield "Elasticsearch", settings.elasticsearch.url, ""
    yield "Kafka", settings.kafka.bootstrap_servers, ""


def _verdict(result: DemoResult, nightly: NightlyRunResult | None, seconds: float) -> Text:
    if problems := find_problems(result, nightly):
        return Text(f"\nShowroom runs, but {'; '.join(problems)}.", style="bold red")
    return Text(
        f"\nShowroom runs, and the counts of all stages match. It took {format_duration(seconds)}.",
        style="bold green",
    )


def _sessions(result: DemoResult) -> Iterator[tuple[str, str, str]]:
    results = {line.what: line.actual for line in result.lines}
    refused = {what.removeprefix(REJECTED): count for what, count in results.items() if what.startswith(REJECTED)}
    common = sorted(refused.items(), key=lambda pair: -pair[1])[:COMMON]
    # Only a replayed log has no freshness, because its sessions are years old.
    sent = "records of the log" if result.freshness is None else "records, including injected faults"
    yield "sent", _number(results.get(topics.RAW, 0)), sent
    locations = {"searchable": results.get("session_summary"), "archived": results.get("sessions in MongoDB")}
    stored = ", ".join(f"{_number(count)} {location}" for location, count in locations.items() if count is not None)
    yield "admitted", _number(results.get(topics.VALID, 0)), stored
    yield "rejected", _number(sum(refused.values())), ", ".join(f"{reason} {count:,.0f}" for reason, count in common)
    total = next((kpi for kpi in result.kpis if kpi.category == "all"), None)
    yield from _money(total)
    if result.freshness is not None:
        fresh = result.freshness
        yield "freshness", f"{fresh.p95_s:.2f} s", f"p95 from produced to searchable, p50 {fresh.p50_s:.2f} s"


def _money(total: Kpi | None) -> Iterator[tuple[str, str, str]]:
    if total is not None:
        message = f"{total.purchases:,} purchases, conversion {total.conversion:.1%}"
        yield "revenue", _number(round(total.revenue)), message


def _learned(nightly: NightlyRunResult | None) -> Iterator[tuple[str, str, str]]:
    messages: dict[str, Any] = nightly.summaries if nightly is not None else {}
    train: Summary = messages.get("train") or {}
    model = train.get("models", {}).get(train.get("best"))
    if model:
        result = model["intervals"]["roc_auc"]
        ceiling = f"; oracle {train['oracle_auc']:.3f}" if train.get("oracle_auc") else ""
        kind = str(train["best"]).replace("_", " ")
        description = f"ROC-AUC of {kind} on later visits, {result['low']:.3f} to {result['high']:.3f}{ceiling}"
        yield "best model", f"{result['value']:.3f}", description
    privacy: Summary = messages.get("privacy") or {}
    if privacy.get("spent") is not None:
        yield "epsilon", f"{privacy['spent']:.2f}", f"spent by all runs, budget {privacy['budget']:g}"
    similar: Summary = messages.get("similar") or {}
    if similar:
        yield "similar", _number(similar["with_neighbours"]), f"of {similar['users']:,} users have neighbours"


def _number(value: float) -> str:
    return f"{value:,.0f}"
