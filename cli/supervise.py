"""`./showroom supervise`: observe and decide, and with `--apply` run a supervision cycle."""

import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from local.project import load_settings

INTERVAL_S = 5.0
EXIT_UNHEALTHY = 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(supervise)


def supervise(
    watch: Annotated[bool, typer.Option(help=f"Observe every {INTERVAL_S:g} s until interrupted.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Also apply the decision, record it and send alerts.")] = False,
    decisions: Annotated[
        int, typer.Option(help="Only show so many recorded decisions, newest first.", min=0, max=10_000)
    ] = 0,
) -> None:
    """Observe all stages and decide; exits 1 unless all are healthy."""
    if decisions:
        _print_decisions(decisions)
        return
    while True:
        is_healthy = _run_cycle(apply)
        if not watch:
            raise typer.Exit(0 if is_healthy else EXIT_UNHEALTHY)
        time.sleep(INTERVAL_S)


def _print_decisions(number: int) -> None:
    from include.supervise.decision_log import DecisionLog

    with DecisionLog(load_settings().redis) as log:
        records = log.last(number)
    for record in records:
        decision = record.decision
        typer.echo(
            f"{datetime.fromtimestamp(record.at, UTC):%Y-%m-%d %H:%M:%S} UTC  {decision.action} {decision.alert}"
        )
        typer.echo(f"    {decision.reason}")
    typer.echo(f"{len(records)} decisions shown")


def _run_cycle(apply: bool) -> bool:
    """Print one cycle; return whether all stages are healthy."""
    from include.clients.elasticsearch import connect
    from include.serving.templates import ensure_templates
    from include.supervise.supervisor import observe_and_decide, run_cycle
    from local.stream_job import job_program, state_folder, supervise_folder

    settings = load_settings()
    settings = settings.replace(
        supervise={"state_dir": settings.supervise.state_dir or str(supervise_folder(settings.local))}
    )

    def prepare() -> None:
        with connect(settings.elasticsearch) as client:
            ensure_templates(client, settings.elasticsearch)

    if apply:
        record = run_cycle(
            settings, job_program(), state_folder(settings.local), prepare=prepare, on_progress=typer.echo
        )
    else:
        record = observe_and_decide(settings, state_folder(settings.local))
        typer.echo(f"{record.decision.action}: {record.decision.alert}: {record.decision.reason}")
    for part, reason in record.observation.unavailable.items():
        typer.echo(f"  {part} is unavailable: {reason}")
    for finding in record.decision.findings:
        typer.echo(f"  {finding.action} {finding.alert}: {finding.reason}; {finding.remedy}")
    return record.decision.action == "healthy"
