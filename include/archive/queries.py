"""What the archive holds, asked of MongoDB. All raise as `store.errors` does."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from pymongo.database import Database

from include.archive.store import Document, durable, errors
from include.contracts.collections import EXPIRED_OFFSETS, SESSIONS, UNDECODABLE, WATERMARKS


class Progress(NamedTuple):
    """One partition's watermark: the next offset to read, and when it was written."""

    place: str
    offset: int
    written_at: datetime


def count(database: Database[Document], start: datetime | None = None, end: datetime | None = None) -> int:
    """Sessions that arrived from `start` to before `end`; each bound may be left open."""
    bounds = {name: value for name, value in (("$gte", start), ("$lt", end)) if value is not None}
    with errors("count sessions"):
        # Not count_documents: its pipeline makes the local stand-in hold every document in memory.
        response = database.command("count", SESSIONS, query={"received_at": bounds} if bounds else {})
    return int(response["n"])


def progress(database: Database[Document]) -> list[Progress]:
    """All watermarks, in the order of topic and partition."""
    with errors("read the watermark"):
        results = list(durable(database)[WATERMARKS].find({}))
    marks = [Progress(entry["_id"], entry["offset"], entry["written_at"]) for entry in results]
    return sorted(marks, key=lambda mark: (mark.place.rpartition(":")[0], int(mark.place.rpartition(":")[2])))


def undecodable(database: Database[Document]) -> int:
    """Records of `sessions.valid` that were no session."""
    with errors("count undecodable records"):
        return database[UNDECODABLE].count_documents({})


def expired(database: Database[Document]) -> int:
    """Offsets that had expired before they were archived, over all gaps."""
    with errors("read gaps"):
        results = list(database[EXPIRED_OFFSETS].find({}))
    return sum(entry["until"] - int(entry["_id"].rpartition(":")[2]) for entry in results)


def stored(database: Database[Document], sessions: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of the sessions, (user_id, session_id), that the archive holds."""
    # An archive that began with an earlier version holds documents under the session_id alone.
    ids = [identity for user, session in sessions for identity in (session, f"{user}:{session}")]
    with errors("look up sessions"):
        results = list(database[SESSIONS].find({"_id": {"$in": ids}}, projection=["user_id"]))
    cached = {(str(entry["user_id"]), str(entry["_id"])) for entry in results}
    return {(user, session) for user, session in sessions if {(user, session), (user, f"{user}:{session}")} & cached}
