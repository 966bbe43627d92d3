"""`./showroom dashboards`: the dashboards in Kibana."""

import os

import typer

from include.contracts.setting import Secret
from local.project import load_settings

app = typer.Typer(help="Manage the dashboards in Kibana.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Manage the dashboards in Kibana."""


def register(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="dashboards")


@app.command("import")
def import_() -> None:
    """Import all dashboards into the Kibana at SHOWROOM_KIBANA_URL; a second import changes nothing."""
    from include.provision.kibana import import_dashboards

    imported = import_dashboards(load_settings(), Secret(os.environ.get("ELASTIC_PASSWORD", "")))
    typer.echo(f"Kibana has imported all {imported.objects} objects")
