"""The end of old sessions: those that arrived longer ago than the archive keeps them."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pymongo.database import Database

from include.archive import queries
from include.archive.store import durable
from include.clients.mongodb import Document, translate_errors
from include.contracts.collections import SESSIONS

BATCH = 5_000
LOG_INTERVAL_S = 5.0

OnProgress = Callable[[str], None]


def cutoff(retention_days: int, now: datetime) -> datetime | None:
    """The first arrival that is kept, a midnight in UTC, so that whole days go; None where all are kept."""
    if not retention_days:
        return None
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=retention_days)


def delete_expired(
    database: Database[Document],
    retention_days: int,
    now: datetime,
    *,
    dry_run: bool = True,
    deadline_s: float | None = None,
    on_progress: OnProgress = lambda _: None,
) -> int:
    """Delete sessions that arrived before the cutoff, in batches.

    Deletes by hand and not by a TTL index, which the local stand-in accepts and does not enforce.

    Args:
        database: the archive.
        retention_days: days a session is kept; 0 keeps all.
        now: the time to count from.
        dry_run: only count.
        deadline_s: stop after this time; the next run goes on.
        on_progress: gets progress.

    Returns:
        Sessions that were deleted, or would be.

    Raises:
        TransientError: MongoDB is unavailable; what is deleted stays deleted.
    """
    before = cutoff(retention_days, now)
    if before is None:
        return 0
    if dry_run:
        return queries.count(database, end=before)
    collection = durable(database)[SESSIONS]
    began = logged_at = time.monotonic()
    deleted = 0
    while deadline_s is None or time.monotonic() - began < deadline_s:
        with translate_errors("delete expired sessions"):
            result = collection.find({"received_at": {"$lt": before}}, projection=["_id"], limit=BATCH)
            ids = [entry["_id"] for entry in result]
            if not ids:
                break
            deleted += collection.delete_many({"_id": {"$in": ids}}).deleted_count
        if time.monotonic() - logged_at >= LOG_INTERVAL_S:
            on_progress(f"{deleted:,} sessions deleted that arrived before {before:%Y-%m-%d}")
            logged_at = time.monotonic()
    return deleted
