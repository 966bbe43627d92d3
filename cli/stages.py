"""`./showroom ingest` and `./showroom archive`: the command lines of these stages, also used by containers."""

import importlib

import typer

PASS_THROUGH = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Passes all options, including --help, to the stage's command line."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(context_settings=PASS_THROUGH)(ingest)
    app.command(context_settings=PASS_THROUGH)(archive)


def ingest(context: typer.Context) -> None:
    """Send synthetic or replayed sessions, or show what a plan would send."""
    _run("ingest", context.args)


def archive(context: typer.Context) -> None:
    """Archive once, delete expired sessions, or reset the archive's offsets."""
    _run("archive", context.args)


def _run(stage: str, arguments: list[str]) -> None:
    command_line: typer.Typer = importlib.import_module(f"include.{stage}.cli").app
    command_line(arguments, prog_name=f"showroom {stage}")
