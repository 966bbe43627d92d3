"""`./showroom stream`: the stream job."""

from pathlib import Path
from typing import Annotated

import typer

from include.contracts.errors import TerminalError
from local.project import load_settings

DEADLINE_S = 180.0
Deadline = Annotated[float, typer.Option(help="Maximum time, s.", min=1)]

app = typer.Typer(help="Submit, stop and resume the stream job.", no_args_is_help=True)


def register(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="stream")


@app.command()
def submit(deadline: Deadline = DEADLINE_S) -> None:
    """Start the job without state; it continues at the committed offsets of the consumer group."""
    from local.stream_job import start_job

    job_id = start_job(load_settings(), deadline_s=deadline)
    typer.echo(f"job {job_id} is running")


@app.command()
def resume(
    deadline: Deadline = DEADLINE_S,
    at: Annotated[
        Path | None, typer.Option("--from", help="Checkpoint or savepoint; by default the newest complete one.")
    ] = None,
) -> None:
    """Start the job from a checkpoint or savepoint."""
    from include.supervise.stream_job import newest_restore_point, restore_point
    from local.stream_job import start_job, state_folder

    settings = load_settings()
    restore = newest_restore_point(state_folder(settings.local)) if at is None else restore_point(at)
    if restore is None:
        raise TerminalError("resume failed: no complete checkpoint or savepoint exists", "run ./showroom stream submit")
    job_id = start_job(settings, restore=restore, deadline_s=deadline)
    typer.echo(f"job {job_id} is running, from {restore.path}")


@app.command()
def stop(deadline: Deadline = DEADLINE_S) -> None:
    """Stop the job with a savepoint, at a consistent point."""
    from local.stream_job import stop_job

    typer.echo(f"stopped, savepoint {stop_job(load_settings(), deadline).path}")


@app.command()
def cancel(
    deadline: Deadline = DEADLINE_S,
    unlocked: Annotated[
        bool, typer.Option("--unlocked", help="Cancel without the supervisor's lock, if Redis is unavailable.")
    ] = False,
) -> None:
    """Cancel the job immediately; its checkpoints are retained."""
    from local.stream_job import cancel_job

    typer.echo(f"job {cancel_job(load_settings(), deadline, locked=not unlocked)} is cancelled")


@app.command()
def status() -> None:
    """Show the job's state, checkpoints, restarts and last failures."""
    from include.clients.flink import FlinkRest
    from include.supervise.stream_job import get_job_status

    with FlinkRest(load_settings().flink) as flink:
        job = get_job_status(flink)
    if job is None:
        typer.echo("no job is running")
        raise typer.Exit(1)
    age = "none yet" if job.checkpoint_age_s is None else f"{job.checkpoint_age_s:.0f} s ago"
    typer.echo(f"job {job.job_id} is {job.state}, tasks not running: {job.idle_tasks or 'none'}")
    typer.echo(f"checkpoints {job.checkpoints}, the last {age}; restarts {job.restarts}")
    for failure in job.failures:
        typer.echo(f"failure: {failure}")


@app.command()
def prune(
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without --yes only list.")] = False,
) -> None:
    """Delete checkpoints and savepoints that no job needs; the newest complete one is retained."""
    from include.clients.flink import FlinkRest
    from include.supervise.stream_job import prune as prune_folders
    from local.stream_job import state_folder

    settings = load_settings()
    with FlinkRest(settings.flink) as flink:
        running = [job.jid for job in flink.jobs() if not job.has_ended]
    for folder in prune_folders(state_folder(settings.local), running, delete=yes):
        typer.echo(f"{'deleted' if yes else 'would delete'} {folder}")


@app.command()
def offsets() -> None:
    """Show the committed offsets in sessions.valid, and the end of each partition; each checkpoint commits them."""
    from cli.offsets import print_offsets
    from include.contracts.topics import STREAM_GROUP, VALID

    print_offsets(STREAM_GROUP, VALID)


@app.command("dead-letters")
def dead_letters(
    last: Annotated[int, typer.Option(help="Dead letters at most, newest first.", min=1, max=1_000)] = 20,
    document: Annotated[bool, typer.Option("--document", help="Also print each document.")] = False,
) -> None:
    """Show the newest dead letters: time, index, origin of the record and reason."""
    from include.serving.dead_letters import newest_dead_letters

    newest = newest_dead_letters(load_settings().kafka, last)
    for timestamp, stored in newest:
        letter = stored.dead_letter
        origin = f"{letter.origin.topic}[{letter.origin.partition}]@{letter.origin.offset}"
        typer.echo(f"{timestamp:%Y-%m-%d %H:%M:%S} UTC  {letter.index or '-'}  {origin}")
        typer.echo(f"    {letter.reason}")
        if document:
            typer.echo(f"    {letter.document}")
    typer.echo(f"{len(newest)} shown")


@app.command()
def redrive(
    yes: Annotated[bool, typer.Option("--yes", help="Index the documents; without --yes only count them.")] = False,
) -> None:
    """Index the documents of dead letters after the cause is fixed; existing documents are not replaced."""
    from include.clients.elasticsearch import connect
    from include.serving.redrive import redrive as redrive_dead_letters
    from include.serving.redrive import survey
    from include.serving.templates import ensure_templates

    settings = load_settings()
    if yes:
        with connect(settings.elasticsearch) as client:
            ensure_templates(client, settings.elasticsearch)
            summary = redrive_dead_letters(
                settings.kafka, client, lambda number: typer.echo(f"{number} dead letters", err=True)
            )
        typer.echo(f"indexed {summary.stored}, already in the index {summary.present}")
        for reason, number in summary.rejected.most_common():
            typer.echo(f"rejected again, still dead letters: {number} {reason}")
    else:
        summary = survey(settings.kafka)
        for index, number in sorted(summary.indices.items()):
            typer.echo(f"would index {number} into {index}")
    if not summary.dead_letters:
        typer.echo("no new dead letters since the last redrive")
    if summary.undecodable or summary.truncated:
        typer.echo(f"cannot be redriven: {summary.undecodable} without a document, {summary.truncated} truncated")
