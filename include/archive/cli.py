"""`./showroom archive`, or `python -m include.archive` in a container: run the archive without a scheduler."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer
from pymongo.database import Database

from include.archive import queries, store, watermark
from include.archive.consume import load
from include.archive.retention import delete_expired
from include.clients.mongodb import Document
from include.contracts import topics
from include.contracts.errors import SettingsError, ShowroomError
from include.contracts.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Archive sessions.valid in MongoDB.")

Yes = Annotated[bool, typer.Option("--yes", help="Change the archive; without --yes only show what would happen.")]


@app.command()
def run() -> None:
    """Archive committed sessions, including those that arrive meanwhile, until the lag is 0."""
    with _database() as (settings, database):
        store.ensure_indexes(database)
        report = load(settings, database, on_progress=typer.echo)
    typer.echo(f"{report.sessions:,} sessions archived in {report.seconds:.1f} s, {report.behind:,} offsets left")


@app.command()
def status() -> None:
    """Show the number of sessions, undecodable records and expired offsets, and each partition's watermark."""
    with _database() as (_, database):
        sessions, undecodable = queries.count(database), queries.undecodable(database)
        expired, watermarks = queries.expired(database), queries.watermarks(database)
    typer.echo(f"{sessions:,} sessions, {undecodable:,} undecodable records, {expired:,} expired offsets")
    for mark in watermarks:
        typer.echo(
            f"{mark.topic_partition}: next offset {mark.offset:,}, written at {mark.written_at:%Y-%m-%d %H:%M:%S} UTC"
        )


@app.command()
def expire(yes: Yes = False) -> None:
    """Delete sessions that are older than SHOWROOM_ARCHIVE_RETENTION_DAYS."""
    with _database() as (settings, database):
        days = settings.archive.retention_days
        count = delete_expired(database, days, datetime.now(UTC), dry_run=not yes, on_progress=typer.echo)
    typer.echo(f"{count:,} sessions older than {days} days {'deleted' if yes else 'would be deleted; add --yes'}")


@app.command("reset-offsets")
def reset_offsets(yes: Yes = False) -> None:
    """Delete the offsets, so that the next run reads sessions.valid from its beginning. No session is duplicated."""
    with _database() as (_, database):
        count = watermark.reset_offsets(database, topics.VALID, dry_run=not yes)
    typer.echo(f"{count} offsets {'deleted' if yes else 'would be deleted; add --yes'}")


@contextmanager
def _database() -> Iterator[tuple[Settings, Database[Document]]]:
    settings = Settings.from_env(os.environ)
    with store.connect(settings.mongodb) as client:
        yield settings, store.database(client, settings.mongodb)


def main() -> None:
    """Run the command line. Exit codes: 1 for an error, 2 for invalid settings; errors print one line."""
    logging.getLogger("kafka").setLevel(logging.ERROR)
    try:
        app(prog_name="python -m include.archive")
    except ShowroomError as error:
        typer.echo(f"archive: {error}", err=True)
        raise SystemExit(2 if isinstance(error, SettingsError) else 1) from None
