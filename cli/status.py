"""`./showroom status`: processes of the stack with the throughput of their stages, and reports of the stages."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from local.project import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import RenderableType
    from rich.table import Table

    from include.contracts.settings import Settings
    from local.stack import ProgramStatus
    from local.throughput import StageThroughput

COLOURS = {
    **{"RUNNING": "green", "STARTING": "yellow", "BACKOFF": "red", "FATAL": "red", "ORPHAN": "red"},
    **{"ok": "green", "waiting": "yellow", "failing": "red", "unavailable": "red"},
}
WIDTH = 150
"""Characters of a line without a terminal."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(
    details: Annotated[
        bool, typer.Option("--details", help="Also show reports of gate, archive, stream and serving.")
    ] = False,
) -> None:
    """Show state, uptime, memory and address of each process, and rate and lag of its stage."""
    from rich.console import Console

    from local.demo import pause as demo_pause
    from local.stack import Stack
    from local.throughput import read_throughput

    settings = load_settings()
    plain = Console()
    console = plain if plain.is_terminal else Console(width=WIDTH)
    programs = Stack(settings).status()
    is_running = any(program.state == "RUNNING" for program in programs)
    flows = read_throughput(settings) if is_running else {}
    console.print(table(programs, flows))
    for line in remarks(programs, flows):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if not is_running:
        return
    if pause := demo_pause.leftover_warning(settings):
        console.print(pause, highlight=False, markup=False, soft_wrap=True)
    for section in _sections(settings, has_stages=details):
        console.print(section, soft_wrap=True)


def _sections(settings: Settings, *, has_stages: bool) -> Iterator[RenderableType]:
    """Yield the sections below the table: the stages on request, then the logins."""
    from local import status_details

    if has_stages:
        yield status_details.gate(settings)
        yield status_details.archive(settings.mongodb)
        yield status_details.stream(settings.flink)
        yield status_details.serving(settings.elasticsearch)
    yield status_details.airflow(settings)
    yield status_details.mlflow(settings)


def table(programs: list[ProgramStatus], flows: Mapping[str, StageThroughput]) -> Table:
    """Return a table with one row for each process and its stage, and the total memory in the footer."""
    from rich.table import Table

    is_running = any(program.memory for program in programs)
    grid = Table(box=None, pad_edge=False, header_style="bold", show_footer=is_running, footer_style="bold")
    total = sum(program.memory or 0 for program in programs)
    for name in ("process", "state", "pid", "up for", "memory", "address", "stage", "rate", "lag"):
        right = name in ("pid", "up for", "memory", "rate", "lag")
        footer = _megabytes(total) if name == "memory" and total else ""
        grid.add_column(name, footer=footer, justify="right" if right else "left", no_wrap=True)
    for program in programs:
        grid.add_row(
            program.name,
            _coloured(program.state, program.state.lower()),
            str(program.pid or ""),
            "" if program.uptime_s is None else str(timedelta(seconds=int(program.uptime_s))),
            "" if program.memory is None else _megabytes(program.memory),
            program.address,
            *_flow_cells(flows.get(program.name)),
        )
    return grid


def remarks(programs: list[ProgramStatus], flows: Mapping[str, StageThroughput]) -> Iterator[str]:
    """Yield one line with a remedy for each process or stage that needs attention."""
    if all(program.state == "STOPPED" for program in programs):
        yield "nothing runs: ./showroom up"
        return
    for program in programs:
        if program.state in ("BACKOFF", "FATAL", "EXITED"):
            yield f"{program.name} exits repeatedly: ./showroom logs {program.name}"
        if program.state == "ORPHAN":
            yield f"{program.name} runs without a supervisor: ./showroom up, or down"
    for stage_flow in flows.values():
        if stage_flow.note:
            yield f"{stage_flow.stage} {stage_flow.state}: {stage_flow.note}"


def _flow_cells(stage_flow: StageThroughput | None) -> tuple[str, str, str]:
    if stage_flow is None:
        return "", "", ""
    rate = "" if stage_flow.rate is None else f"{stage_flow.rate:,.1f}/s"
    return _coloured(stage_flow.state, stage_flow.stage), rate, "" if stage_flow.lag is None else f"{stage_flow.lag:,}"


def _coloured(state: str, text: str) -> str:
    return f"[{COLOURS.get(state, 'dim')}]{text}[/]"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
