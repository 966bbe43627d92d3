"""`python -m include.batch STEP --window START/END --out DIR`: one step of a nightly run."""

import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from include.batch import parameters
from include.batch.context import Context
from include.batch.steps import STEPS, step
from include.batch.window import Window
from include.contracts.errors import SettingsError, ShowroomError, TransientError
from include.contracts.settings import Settings

TERMINAL, WRONG, TRANSIENT = 1, 2, 75
"""Exit codes: nothing to retry, wrong settings or arguments, and try again later (EX_TEMPFAIL)."""


def run(
    name: Annotated[str, typer.Argument(metavar="STEP", help=", ".join(STEPS))],
    window: Annotated[str, typer.Option(help="START/END in ISO 8601, UTC.")],
    out: Annotated[Path, typer.Option(help="Folder of this run; a step reads there what the ones before it wrote.")],
    parameter_file: Annotated[Path, typer.Option("--parameters", help="Another parameters.yaml.")] = parameters.FILE,
    ceiling: Annotated[float | None, typer.Option(help="Best ROC-AUC any model can reach, where it is known.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Fit only this kind of model; may be repeated.")] = None,
) -> None:
    """Run one step of a nightly run and keep its summary as DIR/STEP.json, which is also the last line printed."""
    if name not in STEPS:
        raise SettingsError(f"there is no step {name!r}", f"steps are: {', '.join(STEPS)}")
    began = time.monotonic()

    def say(line: str) -> None:
        typer.echo(f"{time.monotonic() - began:6.1f} s  {line}", err=True)

    out.mkdir(parents=True, exist_ok=True)
    context = Context(
        window=Window.parse(window),
        out=out,
        parameters=parameters.load(parameter_file),
        settings=Settings.from_env(os.environ),
        say=say,
        ceiling=ceiling,
        only=tuple(only or ()),
    )
    typer.echo(_keep(out / f"{name}.json", step(name)(context)))


def _keep(path: Path, summary: Mapping[str, object]) -> str:
    """Write a summary whole or not at all; the line it is."""
    line = msgspec.json.encode(summary)
    partial = path.with_suffix(".partial")
    partial.write_bytes(msgspec.json.format(line, indent=1) + b"\n")
    partial.replace(path)
    return line.decode()


def main() -> None:
    """Run the command line; an error of the project ends it with one line and a code that says whether to retry."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(run)
    try:
        app(prog_name="python -m include.batch")
    except ShowroomError as error:
        sys.stderr.write(f"batch: {error}\n")
        code = (
            WRONG if isinstance(error, SettingsError) else TRANSIENT if isinstance(error, TransientError) else TERMINAL
        )
        raise SystemExit(code) from None


if __name__ == "__main__":
    main()
