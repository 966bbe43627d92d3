"""`python -m include.batch STEP --window START/END --out DIR`: run one step of a nightly run."""

import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from include.batch.inputs import Inputs
from include.batch.parameters import FILE, load
from include.batch.steps import STEPS, load_step
from include.batch.window import Window
from include.contracts.errors import SettingsError, ShowroomError, TransientError
from include.contracts.settings import Settings

EX_FAILED, EX_USAGE, EX_TEMPFAIL = 1, 2, 75
"""Exit codes: permanent failure, invalid settings or arguments, and a failure worth a retry (as in sysexits.h)."""


def run(
    name: Annotated[str, typer.Argument(metavar="STEP", help=", ".join(STEPS))],
    window: Annotated[str, typer.Option(help="START/END in ISO 8601, UTC.")],
    out: Annotated[Path, typer.Option(help="Folder of this run: files of earlier steps are read, new files written.")],
    parameter_file: Annotated[Path, typer.Option("--parameters", help="Another parameters.yaml.")] = FILE,
    oracle_auc: Annotated[
        float | None, typer.Option(help="Best ROC-AUC that any model can reach; for synthetic data.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Fit only this kind of model; may be repeated.")] = None,
) -> None:
    """Run one step of a nightly run; write its summary as DIR/STEP.json and print it as the last line."""
    if name not in STEPS:
        raise SettingsError(f"unknown step {name!r}", f"choose one of: {', '.join(STEPS)}")
    began = time.monotonic()

    def log(line: str) -> None:
        typer.echo(f"{time.monotonic() - began:6.1f} s  {line}", err=True)

    out.mkdir(parents=True, exist_ok=True)
    parameters = load(parameter_file)
    inputs = Inputs(
        window=Window.parse(window),
        out=out,
        settings=Settings.from_env(os.environ),
        log=log,
        oracle_auc=oracle_auc,
        only=tuple(only or ()),
    )
    typer.echo(_write_summary(out / f"{name}.json", load_step(name)(inputs, parameters)))


def _write_summary(path: Path, summary: Mapping[str, object]) -> str:
    """Write a summary atomically; return it as one line of JSON."""
    line = msgspec.json.encode(summary)
    partial = path.with_suffix(".partial")
    partial.write_bytes(msgspec.json.format(line, indent=1) + b"\n")
    partial.replace(path)
    return line.decode()


def main() -> None:
    """Run the command line; an error of the project prints one line and sets the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(run)
    try:
        app(prog_name="python -m include.batch")
    except ShowroomError as error:
        sys.stderr.write(f"batch: {error}\n")
        is_retryable = isinstance(error, TransientError)
        code = EX_USAGE if isinstance(error, SettingsError) else EX_TEMPFAIL if is_retryable else EX_FAILED
        raise SystemExit(code) from None


if __name__ == "__main__":
    main()
