"""`./showroom test`."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(test)


def test(
    paths: Annotated[
        list[str] | None, typer.Argument(help="Test folders, files or `file::test`; all by default.")
    ] = None,
    only: Annotated[str, typer.Option("-k", help="Run only tests whose name matches this expression.")] = "",
    stop: Annotated[bool, typer.Option("-x", "--exitfirst", help="Stop at the first failure.")] = False,
) -> None:
    """Run all tests on separate real servers; the last line is `N passed, N failed`."""
    from local.install.java import ensure_java
    from tools.test_runner import execute_all, plan

    runs = plan(paths or [])
    ensure_java(typer.echo)
    arguments = [*(["-k", only] if only else []), *(["-x"] if stop else [])]
    total = execute_all(runs, arguments, typer.echo)
    typer.echo(str(total))
    if total.failed or not total.passed:
        raise typer.Exit(1)
