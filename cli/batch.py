"""`./showroom batch`: one step of the nightly batch, in the environment of the models."""

import os
import subprocess

import typer

from local.install.environments import ensure_environment
from local.layout import Layout
from local.project import ROOT, load_settings

PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Passes all options, including --help, to the step's command line."""
NICENESS = "10"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(context_settings=PASS_ON)(batch)


def batch(context: typer.Context) -> None:
    """Run one step of the nightly batch, with the keys of the local stack."""
    from local.servers import mlflow

    settings = load_settings()
    layout = Layout.of(settings.local)
    settings = settings.replace(batch={"noise_key": mlflow.noise_key(settings.batch, layout)})
    python = ensure_environment("ml", lambda line: typer.echo(line, err=True))
    command = ["nice", "-n", NICENESS, str(python), "-P", "-m", "include.batch", *context.args]
    environment = {
        **os.environ,
        **settings.to_env(),
        "PYTHONPATH": str(ROOT),
        **mlflow.client_environment(settings.mlflow, layout),
    }
    raise typer.Exit(subprocess.run(command, env=environment, check=False).returncode)
