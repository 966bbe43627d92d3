"""`./showroom demo`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from local.project import load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from local.demo.run import DemoResult


WIDTH = 150
"""Characters of a line without a terminal."""
DURATIONS = "demo-steps.json"
"""File in the data folder: duration of each step in the last demo."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    replay: Annotated[
        Path | None, typer.Option(help="Replay this log of a real shop instead of the synthetic one.")
    ] = None,
    format: Annotated[str, typer.Option(help="Format of the log: auto, rees46, otto or online_retail.")] = "auto",
    sessions: Annotated[int, typer.Option(help="Sessions of the history.", min=1)] = 50_000,
    days: Annotated[int, typer.Option(help="Days of history.", min=1, max=300)] = 14,
    live_seconds: Annotated[int, typer.Option(help="Seconds of live sessions.", min=1, max=3_600)] = 60,
    rate: Annotated[float, typer.Option(help="Live sessions a second.", min=1)] = 50.0,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic shop.")] = 20_261,
) -> None:
    """Run the platform on real servers, count every session, and leave it running."""
    settings = load_settings()
    if replay is not None:
        from include.ingest.replay import check_format

        # First, because an invalid log must not install, start or pause anything.
        check_format(replay, format)

    from rich.console import Console

    from local.demo import pause as demo_pause
    from local.demo import plan as demo_plan
    from local.demo import summary as demo_screen
    from local.demo.progress import Steps, load_durations, save_durations
    from local.demo.run import DemoConfig, run, run_nightly, run_replay, start_platform
    from local.layout import Layout
    from local.supervisord import Supervisor

    plain = Console()
    console = plain if plain.is_terminal else Console(width=WIDTH)
    config = DemoConfig(sessions=sessions, days=days, live_s=live_seconds, live_per_s=rate, seed=seed)
    layout = Layout.of(settings.local)
    is_running = Supervisor(layout).is_running()
    plan = demo_plan.replayed(replay, running=is_running) if replay else demo_plan.synthetic(config, running=is_running)
    durations = layout.data / DURATIONS
    steps = Steps(plan, partial(_line, console), load_durations(durations))
    try:
        with demo_pause.unpause_on_exit(settings, partial(_line, console)):
            start_platform(settings, steps)
            if replay is None:
                demo_result = run(settings, config, steps)
                _print_counts(console, demo_result)
                nightly = run_nightly(settings, config, steps)
            else:
                demo_result, nightly = run_replay(settings, replay, format, steps, console), None
                _print_counts(console, demo_result)
        steps.end()
    finally:
        save_durations(durations, steps.durations)
    if nightly is not None:
        from local.demo.nightly_tables import tables

        console.print(f"\nNightly run, {nightly.seconds:.0f} s", style="bold")
        console.print(*tables(nightly), sep="\n")
    console.print(demo_screen.render_summary(settings, demo_result, nightly, steps.seconds), soft_wrap=True)
    if demo_screen.find_problems(demo_result, nightly):
        raise typer.Exit(1)


def _line(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def _print_counts(console: Console, demo_result: DemoResult) -> None:
    from rich.table import Table

    grid = Table("stage", "what", "expected", "actual", "difference", title="Account", title_justify="left", box=None)
    for line in demo_result.lines:
        colour = "green" if line.difference == 0 else "bold red"
        grid.add_row(
            line.stage, line.what, _number(line.expected), _number(line.actual), f"[{colour}]{line.difference:+g}[/]"
        )
    for column in grid.columns[2:]:
        column.justify = "right"
    console.print(grid)

    kpis = Table("category", "sessions", "purchases", "conversion", "revenue", "mean duration", box=None)
    kpis.title, kpis.title_justify = "\nKey figures by category", "left"
    for kpi in demo_result.kpis:
        kpis.add_row(
            kpi.category,
            f"{kpi.sessions:,}",
            f"{kpi.purchases:,}",
            f"{kpi.conversion:.1%}",
            f"{kpi.revenue:,.2f}",
            f"{kpi.mean_duration_s:.0f} s",
        )
    console.print(kpis)
    if freshness := demo_result.freshness:
        message = (
            f"p50 {freshness.p50_s:.2f} s, p95 {freshness.p95_s:.2f} s over {freshness.sampled:,} sessions, "
            f"{freshness.lost} not searchable in time"
        )
        _line(console, f"\nFrom produced to searchable: {message}\n")


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
