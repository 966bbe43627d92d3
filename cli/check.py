"""`./showroom check`."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(check)


def check(
    fix: Annotated[
        bool, typer.Option("--fix", help="First apply automatic fixes: lint, format, locks, generated files.")
    ] = False,
) -> None:
    """Check lint, format, imports, dependencies, locks, generated files, documentation and types."""
    from tools.checks import repair, run_checks

    if fix:
        repair()
    failed = 0
    for verdict in run_checks():
        if verdict.complaint:
            failed += 1
            typer.echo(verdict.complaint)
        typer.echo(f"{'FAILED' if verdict.complaint else 'ok':6} {verdict.name} ({verdict.seconds:.1f} s)")
    if failed:
        raise typer.Exit(1)
