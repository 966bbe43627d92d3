"""`./showroom status`: the programs of the stack, and what the stages say about themselves."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import typer

from include.local.project import load_settings

if TYPE_CHECKING:
    from rich.table import Table

    from include.local.stack import ProgramStatus

COLOURS = {"RUNNING": "green", "STARTING": "yellow", "BACKOFF": "red", "FATAL": "red", "ORPHAN": "red"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status() -> None:
    """Show each program: state, process, time since its start, address."""
    from rich.console import Console

    from include.local import sections
    from include.local.stack import Stack

    settings = load_settings()
    console = Console()
    programs = Stack(settings).status()
    console.print(table(programs))
    if any(program.state == "RUNNING" for program in programs):
        stages = (sections.gate, sections.archive, sections.stream, sections.serving)
        for section in (*stages, sections.airflow, sections.mlflow):
            console.print(section(settings))


def table(programs: list[ProgramStatus]) -> Table:
    """One row a program."""
    from rich.table import Table

    grid = Table("program", "state", "pid", "up for", "address", box=None, pad_edge=False, header_style="bold")
    for program in programs:
        colour = COLOURS.get(program.state, "dim")
        grid.add_row(
            program.name,
            f"[{colour}]{program.state.lower()}[/]",
            str(program.pid or ""),
            "" if program.uptime_s is None else str(timedelta(seconds=int(program.uptime_s))),
            program.address,
        )
    return grid
