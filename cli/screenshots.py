"""`./showroom screenshots`."""

from pathlib import Path
from typing import Annotated

import typer

from local.project import ROOT, load_settings

FOLDER = ROOT / "docs" / "pictures"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(screenshots)


def screenshots(
    folder: Annotated[Path, typer.Option(help="Folder of the screenshots.")] = FOLDER,
) -> None:
    """Take screenshots of the pages of the running platform."""
    from local.layout import Layout
    from tools.screenshots import chromium, take

    settings = load_settings()
    with chromium() as browser:
        take(browser, settings.airflow, Layout.of(settings.local), folder, typer.echo)
