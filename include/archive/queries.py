"""Queries of the archive. All raise as `store.errors` does."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from pymongo.database import Database

from include.archive.store import durable
from include.clients.mongodb import Document, translate_errors
from include.contracts.collections import EXPIRED_OFFSETS, SESSIONS, UNDECODABLE, WATERMARKS


class Watermark(NamedTuple):
    """One partition's watermark: the next offset to read, and when it was written."""

    topic_partition: str
    offset: int
    written_at: datetime


def count(database: Database[Document], start: datetime | None = None, end: datetime | None = None) -> int:
    """Count the sessions that arrived in [start, end). A bound of None is open."""
    bounds = {name: value for name, value in (("$gte", start), ("$lt", end)) if value is not None}
    with translate_errors("count sessions"):
        # Not count_documents, because its pipeline loads every document into the local stand-in's memory.
        response = database.command("count", SESSIONS, query={"received_at": bounds} if bounds else {})
    return int(response["n"])


def watermarks(database: Database[Document]) -> list[Watermark]:
    """Return all watermarks, ordered by topic and partition."""
    with translate_errors("read the watermark"):
        results = list(durable(database)[WATERMARKS].find({}))
    marks = [Watermark(entry["_id"], entry["offset"], entry["written_at"]) for entry in results]
    return sorted(
        marks, key=lambda mark: (mark.topic_partition.rpartition(":")[0], int(mark.topic_partition.rpartition(":")[2]))
    )


def undecodable(database: Database[Document]) -> int:
    """Count the records of `sessions.valid` that could not be decoded."""
    with translate_errors("count undecodable records"):
        return database[UNDECODABLE].count_documents({})


def expired(database: Database[Document]) -> int:
    """Count the offsets that expired before they were archived, over all gaps."""
    with translate_errors("read gaps"):
        results = list(database[EXPIRED_OFFSETS].find({}))
    return sum(entry["until"] - int(entry["_id"].rpartition(":")[2]) for entry in results)


def stored(database: Database[Document], sessions: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return which of these sessions, (user_id, session_id), are archived."""
    # Earlier versions stored documents under the session_id alone.
    ids = [document_id for user, session in sessions for document_id in (session, f"{user}:{session}")]
    with translate_errors("look up sessions"):
        results = list(database[SESSIONS].find({"_id": {"$in": ids}}, projection=["user_id"]))
    existing = {(str(entry["user_id"]), str(entry["_id"])) for entry in results}
    return {(user, session) for user, session in sessions if {(user, session), (user, f"{user}:{session}")} & existing}
