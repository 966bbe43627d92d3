"""The command line: what `./showroom` runs. One module a command group."""

import tomllib
import traceback
from contextlib import suppress
from typing import Annotated, NoReturn

import typer

from cli import (
    batch,
    bench,
    check,
    dashboards,
    demo,
    docs,
    drill,
    gate,
    screenshots,
    stack,
    stages,
    status,
    stream,
    supervise,
    test,
)
from include.contracts.errors import SettingsError, ShowroomError
from local.layout import write_text
from local.project import ROOT, SHOWROOM

COMMANDS = (
    stack,
    status,
    demo,
    stages,
    gate,
    stream,
    dashboards,
    supervise,
    batch,
    bench,
    drill,
    screenshots,
    docs,
    check,
    test,
)
"""Modules with a function `register(app)`, in the order of `--help`."""
EXIT_FAILED = 1
EXIT_SETTINGS = 2
EXIT_INTERRUPTED = 130
MAX_LINE = 400
TRACE = SHOWROOM / "last-error.log"


def project_version() -> str:
    """Return the version that pyproject.toml states."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def _print_version(expected: bool) -> None:
    if expected:
        typer.echo(f"showroom {project_version()}")
        raise typer.Exit


def build() -> typer.Typer:
    """Return the whole command line."""
    app = typer.Typer(
        name="showroom",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_main)
    for command in COMMANDS:
        command.register(app)
    return app


def _main(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """The live path of an online shop's sessions, on real servers on this machine."""


def main() -> NoReturn:
    """Run the command line; an error is one line on standard error, with what can be done about it."""
    try:
        build()(prog_name="showroom")
    except ShowroomError as error:
        typer.echo(f"showroom: {' '.join(str(error).split())}", err=True)
        raise SystemExit(EXIT_SETTINGS if isinstance(error, SettingsError) else EXIT_FAILED) from None
    except Exception as error:
        # Nobody foresaw it: the line is for who runs the command, the trace for who repairs it.
        with suppress(OSError):
            write_text(TRACE, traceback.format_exc())
        message = " ".join(f"{type(error).__name__}: {error}".split())[:MAX_LINE]
        typer.echo(f"showroom: {message}: see ./showroom status and {TRACE.relative_to(ROOT)}", err=True)
        raise SystemExit(EXIT_FAILED) from None
    except KeyboardInterrupt:
        raise SystemExit(EXIT_INTERRUPTED) from None
    raise SystemExit(0)
