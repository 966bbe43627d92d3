"""Entry point of `./showroom`. Each command group is a module."""

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
MAX_ERROR_CHARACTERS = 400
TRACEBACK_LOG = SHOWROOM / "last-error.log"


def project_version() -> str:
    """Return the version in pyproject.toml."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def _print_version(is_requested: bool) -> None:
    if is_requested:
        typer.echo(f"showroom {project_version()}")
        raise typer.Exit


def build() -> typer.Typer:
    """Return the command line with all commands."""
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
    """Run, observe and test the platform on real servers on this machine."""


def main() -> NoReturn:
    """Run the command line; print an error as one line with a remedy to standard error."""
    try:
        build()(prog_name="showroom")
    except ShowroomError as error:
        typer.echo(f"showroom: {' '.join(str(error).split())}", err=True)
        raise SystemExit(EXIT_SETTINGS if isinstance(error, SettingsError) else EXIT_FAILED) from None
    except Exception as error:
        # An unexpected error: print one line for the user, and store the traceback for the developer.
        with suppress(OSError):
            write_text(TRACEBACK_LOG, traceback.format_exc())
        message = " ".join(f"{type(error).__name__}: {error}".split())[:MAX_ERROR_CHARACTERS]
        typer.echo(f"showroom: {message}: see ./showroom status and {TRACEBACK_LOG.relative_to(ROOT)}", err=True)
        raise SystemExit(EXIT_FAILED) from None
    except KeyboardInterrupt:
        raise SystemExit(EXIT_INTERRUPTED) from None
    raise SystemExit(0)
