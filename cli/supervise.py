"""`./showroom supervise`: what the supervisor sees and decides, and with `--act` what it does."""

import time
from typing import Annotated

import typer

from local.project import load_settings

EVERY_S = 5.0
EXIT_WRONG = 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(supervise)


def supervise(
    watch: Annotated[bool, typer.Option(help=f"Look every {EVERY_S:g} s until interrupted.")] = False,
    act: Annotated[bool, typer.Option("--act", help="Also do what is decided, record it and raise alarms.")] = False,
) -> None:
    """Look at all stages and decide; exits 1 when something is wrong."""
    while True:
        wrong = _round(act)
        if not watch:
            raise typer.Exit(EXIT_WRONG if wrong else 0)
        time.sleep(EVERY_S)


def _round(act: bool) -> bool:
    """Print one round; whether something is wrong."""
    from include.clients.elasticsearch import connect
    from include.serving.templates import ensure_templates
    from include.supervise.act import look, supervise_once
    from local.stream_job import job_program, state_folder, supervise_folder

    settings = load_settings()
    settings = settings.replace(supervise_folder=settings.supervise_folder or str(supervise_folder(settings)))

    def prepare() -> None:
        with connect(settings) as client:
            ensure_templates(client, settings)

    if act:
        entry = supervise_once(settings, job_program(), state_folder(settings), prepare=prepare, say=typer.echo)
    else:
        entry = look(settings, state_folder(settings))
        typer.echo(f"{entry.decision.action}: {entry.decision.alarm}: {entry.decision.reason}")
    for part, reason in entry.observation.unknown.items():
        typer.echo(f"  {part} is away: {reason}")
    for finding in entry.decision.findings:
        typer.echo(f"  {finding.action} {finding.alarm}: {finding.reason}; {finding.remedy}")
    return entry.decision.action != "healthy"
