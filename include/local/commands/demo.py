"""`./showroom demo`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from include.local.project import load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from include.contracts.settings import Settings
    from include.local.demo import Outcome


WIDTH = 150
"""Characters of a line where there is no terminal to ask."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    replay: Annotated[
        Path | None, typer.Option(help="Replay this log of a real shop instead of the synthetic one.")
    ] = None,
    shape: Annotated[str, typer.Option("--format", help="Its format: auto, rees46, otto or online_retail.")] = "auto",
    sessions: Annotated[int, typer.Option(help="Visits of the history.", min=1)] = 50_000,
    days: Annotated[int, typer.Option(help="Days of history.", min=1, max=300)] = 14,
    live: Annotated[int, typer.Option(help="Seconds of live sessions.", min=1, max=3_600)] = 60,
    rate: Annotated[float, typer.Option(help="Live sessions a second.", min=1)] = 50.0,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic shop.")] = 20_261,
) -> None:
    """Run the whole platform on real servers, account for every session, and leave it running."""
    from rich.console import Console

    from include.local.demo import Show, run, run_night, run_replay, start_platform

    plain = Console()
    console = plain if plain.is_terminal else Console(width=WIDTH)
    started = time.monotonic()

    def say(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - started:6.1f} s[/]  {line}", highlight=False, soft_wrap=True)

    settings = load_settings()
    start_platform(settings, say)
    if replay is None:
        show = Show(sessions=sessions, days=days, live_s=live, live_per_s=rate, seed=seed)
        outcome = run(settings, show, say, console)
        night = run_night(settings, show, say)
    else:
        outcome, night = run_replay(settings, replay, shape, say, console), None
    _show(console, settings, outcome)
    if night is not None:
        from include.local.nightly_tables import tables

        console.print(f"\nNightly run, {night.seconds:.0f} s", style="bold")
        console.print(*tables(night), sep="\n")
    _addresses(console, settings)
    wrong = [
        *(["the account does not balance"] if not outcome.exact else []),
        *(["the nightly run is not complete"] if night is not None and not night.complete else []),
    ]
    say(f"[red]{', '.join(wrong)}[/]" if wrong else "done")
    if wrong:
        raise typer.Exit(1)


def _show(console: Console, settings: Settings, outcome: Outcome) -> None:
    from rich.table import Table

    from include.local import sections

    grid = Table("stage", "what", "truth", "found", "difference", title="Account", title_justify="left", box=None)
    for line in outcome.lines:
        colour = "green" if line.difference == 0 else "bold red"
        grid.add_row(
            line.stage, line.what, _number(line.expected), _number(line.found), f"[{colour}]{line.difference:+g}[/]"
        )
    for column in grid.columns[2:]:
        column.justify = "right"
    console.print(grid)

    kpis = Table("category", "sessions", "purchases", "conversion", "revenue", "mean duration", box=None)
    kpis.title, kpis.title_justify = "\nKey figures by category", "left"
    for kpi in outcome.kpis:
        kpis.add_row(
            kpi.category,
            f"{kpi.sessions:,}",
            f"{kpi.purchases:,}",
            f"{kpi.conversion:.1%}",
            f"{kpi.revenue:,.2f}",
            f"{kpi.mean_duration_s:.0f} s",
        )
    console.print(kpis)
    if outcome.freshness:
        fresh = outcome.freshness
        console.print(
            f"\nFrom produced to searchable: p50 {fresh.p50_s:.2f} s, p95 {fresh.p95_s:.2f} s "
            f"over {fresh.sampled:,} sessions, {fresh.lost} not found",
            highlight=False,
            soft_wrap=True,
        )
    for section in (sections.gate, sections.archive, sections.stream, sections.serving):
        console.print(section(settings))


def _addresses(console: Console, settings: Settings) -> None:
    from include.local.airflow import login
    from include.local.layout import Layout
    from include.local.servers import mlflow

    console.print("\nIt goes on running, with new sessions every ten minutes: ./showroom status, down", style="bold")
    layout = Layout.of(settings)
    user, password = login(layout)
    keys = mlflow.read_keys(layout)
    for name, address in (
        ("Airflow", f"{settings.airflow_url}   user {user}, password {password}"),
        ("Live page", f"{settings.airflow_url}/plugin/showroom-live"),
        ("Stream page", f"{settings.airflow_url}/plugin/showroom-stream"),
        ("MLflow", f"{settings.mlflow_url}   user {mlflow.USER}, password {keys.password if keys else '-'}"),
        ("Flink", settings.flink_url),
        ("Elasticsearch", settings.elasticsearch_url),
        ("Kafka", settings.kafka_bootstrap),
        ("Redis", str(settings.ports.redis)),
        ("MongoDB", str(settings.ports.mongodb)),
    ):
        console.print(f"  {name:14} {address}", highlight=False, soft_wrap=True)


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
