"""Expiry of archived sessions: by arrival time, in whole days."""

from datetime import UTC, datetime, timedelta

import pytest
from pymongo.database import Database
from typer.testing import CliRunner

from include.archive import documents, retention
from include.archive.cli import app
from include.archive.retention import delete_expired
from include.clients.mongodb import Document
from include.contracts.collections import SESSIONS
from include.contracts.settings import Settings
from tests.valid_sessions import valid_session

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)


def fill(archive: Database[Document], now: datetime = NOW) -> None:
    """Store five expired sessions, the newest 1 ms before the cutoff, one at the cutoff and one of now."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)
    arrivals = [midnight - timedelta(days=n) for n in (1, 2, 30, 400)]
    arrivals += [midnight - timedelta(milliseconds=1), midnight, now]
    archive[SESSIONS].insert_many(
        [
            documents.document(valid_session(session_id=f"r-{n}", received_at=arrival))
            for n, arrival in enumerate(arrivals)
        ]
    )


def test_delete_expired_removes_older_arrivals_and_keeps_the_rest(
    empty: Database[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(empty)
    monkeypatch.setattr(retention, "BATCH_SIZE", 2)

    assert delete_expired(empty, 2, NOW, dry_run=True) == 5
    assert empty[SESSIONS].count_documents({}) == 7
    assert delete_expired(empty, 2, NOW, dry_run=False) == 5

    assert {entry["received_at"] for entry in empty[SESSIONS].find({})} == {MIDNIGHT, NOW}
    assert delete_expired(empty, 2, NOW, dry_run=False) == 0


def test_delete_expired_without_retention_or_time_deletes_nothing(empty: Database[Document]) -> None:
    fill(empty)
    assert delete_expired(empty, 0, NOW, dry_run=False) == 0
    assert delete_expired(empty, 2, NOW, dry_run=False, deadline_s=0.0) == 0
    assert empty[SESSIONS].count_documents({}) == 7


def test_expire_command_without_yes_deletes_nothing_and_with_it_deletes(
    own: Settings, empty: Database[Document]
) -> None:
    fill(empty, datetime.now(UTC))
    environment = own.replace(archive={"retention_days": 2}).to_env()

    dry_run = CliRunner().invoke(app, ["expire"], env=environment)
    assert (dry_run.exit_code, empty[SESSIONS].count_documents({})) == (0, 7)
    assert dry_run.output == "5 sessions older than 2 days would be deleted; add --yes\n"
    deletion = CliRunner().invoke(app, ["expire", "--yes"], env=environment)
    assert (deletion.exit_code, empty[SESSIONS].count_documents({})) == (0, 2)


def test_status_command_counts_what_is_archived(own: Settings, empty: Database[Document]) -> None:
    fill(empty)
    result = CliRunner().invoke(app, ["status"], env=own.to_env())
    assert result.exit_code == 0
    assert result.output.startswith("7 sessions, 0 undecodable records, 0 expired offsets\n")
