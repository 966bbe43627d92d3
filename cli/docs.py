"""`./showroom docs`."""

from typing import Annotated

import typer

from include.contracts.errors import TerminalError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(docs)


def docs(
    serve: Annotated[bool, typer.Option("--serve", help="Serve the site on loopback until Ctrl+C.")] = False,
    port: Annotated[int, typer.Option(help="Port of --serve; 0 is any free port.", min=0, max=65_535)] = 0,
) -> None:
    """Build the documentation site into .showroom/site."""
    from tools.site.build import SITE, build_site
    from tools.site.serve import serve_folder

    if problems := build_site():
        raise TerminalError(f"build of the documentation failed: {problems}", "correct the pages in docs/")
    typer.echo(f"file://{SITE}/index.html")
    if serve:
        serve_folder(SITE, port, on_start=lambda address: typer.echo(f"{address} (search works here only)"))
