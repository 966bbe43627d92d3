"""`./showroom status`: the processes of the stack with what flows through them, and what the stages say."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from local.project import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.table import Table

    from local.stack import ProgramStatus
    from local.throughput import Flow

COLOURS = {
    **{"RUNNING": "green", "STARTING": "yellow", "BACKOFF": "red", "FATAL": "red", "ORPHAN": "red"},
    **{"ok": "green", "waiting": "yellow", "wrong": "red", "away": "red"},
}
WIDTH = 150
"""Characters of a line where there is no terminal to ask."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(
    details: Annotated[
        bool, typer.Option("--details", help="Also what gate, archive, stream and serving say.")
    ] = False,
) -> None:
    """DemoConfig each process: state, time since its start, memory, address; and the stage it serves: rate and lag."""
    from rich.console import Console

    from local import status_details
    from local.demo import pause as demo_pause
    from local.stack import Stack
    from local.throughput import flow

    settings = load_settings()
    plain = Console()
    console = plain if plain.is_terminal else Console(width=WIDTH)
    programs = Stack(settings).status()
    runs = any(program.state == "RUNNING" for program in programs)
    flows = flow(settings) if runs else {}
    console.print(table(programs, flows))
    for line in remarks(programs, flows):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if not runs:
        return
    if pause := demo_pause.leftover_warning(settings):
        console.print(pause, highlight=False, markup=False, soft_wrap=True)
    stages = (
        (status_details.gate, status_details.archive, status_details.stream, status_details.serving) if details else ()
    )
    for section in (*stages, status_details.airflow, status_details.mlflow):
        console.print(section(settings), soft_wrap=True)


def table(programs: list[ProgramStatus], flows: Mapping[str, Flow]) -> Table:
    """One row a process, with the stage it serves; the sum of the memory below."""
    from rich.table import Table

    runs = any(program.memory for program in programs)
    grid = Table(box=None, pad_edge=False, header_style="bold", show_footer=runs, footer_style="bold")
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
            *_flow(flows.get(program.name)),
        )
    return grid


def remarks(programs: list[ProgramStatus], flows: Mapping[str, Flow]) -> Iterator[str]:
    """What is not as it should be and what to do about it, a line each."""
    if all(program.state == "STOPPED" for program in programs):
        yield "nothing runs: ./showroom up"
        return
    for program in programs:
        if program.state in ("BACKOFF", "FATAL", "EXITED"):
            yield f"{program.name} does not stay up: ./showroom logs {program.name}"
        if program.state == "ORPHAN":
            yield f"{program.name} runs without a supervisor: ./showroom up, or down"
    for one in flows.values():
        if one.note:
            yield f"{one.stage} {one.state}: {one.note}"


def _flow(one: Flow | None) -> tuple[str, str, str]:
    if one is None:
        return "", "", ""
    rate = "" if one.rate is None else f"{one.rate:,.1f}/s"
    return _coloured(one.state, one.stage), rate, "" if one.lag is None else f"{one.lag:,}"


def _coloured(state: str, text: str) -> str:
    return f"[{COLOURS.get(state, 'dim')}]{text}[/]"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
