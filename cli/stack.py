"""`./showroom up`, `down` and `logs`."""

import os
import re
from typing import Annotated

import typer

from include.contracts.errors import TerminalError
from local.layout import Layout
from local.project import load_settings

LINES = 50
DEADLINE_S = 180.0


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(down)
    app.command()(logs)


def up(
    programs: Annotated[list[str] | None, typer.Argument(help="Programs to start; all of them by default.")] = None,
    deadline: Annotated[float, typer.Option(help="Maximum time until every server is ready, s.", min=1)] = DEADLINE_S,
) -> None:
    """Start the local stack and wait until every server is ready."""
    from local.demo import pause as demo_pause
    from local.stack import Stack

    settings = load_settings()
    Stack(settings, _on_progress).up(programs or None, deadline)
    if pause := demo_pause.leftover_warning(settings):
        _on_progress(pause)


def down(
    volumes: Annotated[bool, typer.Option("--volumes", help="Also delete all data, logs and configuration.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without --yes only print what would be deleted.")] = False,
) -> None:
    """Stop the local stack; without --volumes its data is retained."""
    from local.stack import Stack

    stack = Stack(load_settings(), _on_progress)
    if volumes and not yes:
        typer.echo(f"would stop the stack and delete {stack.layout.root}; add --yes to do it")
    elif volumes:
        stack.purge()
    else:
        stack.down()


def logs(
    name: Annotated[str, typer.Argument(help="Name of a program, as in `status`, or supervisord.")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Follow the log output.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", help="Lines from the end.", min=0)] = LINES,
) -> None:
    """Show the end of a program's log."""
    folder = Layout.of(load_settings().local).log
    existing = sorted(path.stem for path in folder.glob("*.log"))
    numbered = [log for log in existing if re.fullmatch(rf"{re.escape(name)}-\d+", log)]
    if name not in existing and len(numbered) == 1:
        (name,) = numbered
    if name not in existing:
        raise TerminalError(
            f"logs failed: no log of {name!r}",
            f"name one of: {', '.join(existing)}" if existing else "run ./showroom up first",
        )
    os.execvp("tail", ["tail", "-n", str(lines), *(["-F"] if follow else []), str(folder / f"{name}.log")])


def _on_progress(line: str) -> None:
    typer.echo(line)
