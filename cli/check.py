"""`./showroom check` and `./showroom fix`."""

import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(check)
    app.command()(fix)


def check() -> None:
    """Check lint, format, import borders, locks, generated files and types; writes nothing."""
    from tools.checks import run_checks

    failed = 0
    for verdict in run_checks():
        if verdict.complaint:
            failed += 1
            typer.echo(verdict.complaint)
        typer.echo(f"{'FAILED' if verdict.complaint else 'ok':6} {verdict.name} ({verdict.seconds:.1f} s)")
    if failed:
        raise typer.Exit(1)


def fix() -> None:
    """Repair what can be repaired without thinking: lint, format, locks, generated files."""
    from tools.checks import repair

    repair()
    check()
