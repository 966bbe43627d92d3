"""How far the archive has read, kept in MongoDB beside the sessions; and what had expired before it was read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pymongo import UpdateOne
from pymongo.database import Database

from include.archive.store import Document, errors
from include.contracts.collections import EXPIRED_OFFSETS, WATERMARKS, watermark_id
from include.contracts.errors import TerminalError

RESET_HINT = (
    "if the topic was recreated on purpose, run `./showroom archive reset-offsets --yes`: "
    "sessions are stored under their ids, so none is stored twice"
)


@dataclass(frozen=True)
class Gap:
    """Offsets of one partition, `until` not included, that had expired before they were archived."""

    topic: str
    partition: int
    start: int
    until: int

    @property
    def offsets(self) -> int:
        """How many offsets; some of them are marks of transactions and were never a session."""
        return self.until - self.start


def read(database: Database[Document], topic: str, topic_id: str, partitions: int) -> dict[int, int]:
    """Partition -> next offset to read, 0 for one never read.

    Raises TerminalError where a watermark belongs to an earlier topic of the same name.
    """
    names = {watermark_id(topic, partition): partition for partition in range(partitions)}
    with errors("read the watermark"):
        results = list(database[WATERMARKS].find({"_id": {"$in": list(names)}}))
    strangers = [str(entry["_id"]) for entry in results if entry.get("topic_id") != topic_id]
    if strangers:
        raise TerminalError(f"the archive's watermark of {', '.join(strangers)} is of an earlier topic", RESET_HINT)
    return dict.fromkeys(names.values(), 0) | {names[entry["_id"]]: entry["offset"] for entry in results}


def advance(database: Database[Document], topic: str, topic_id: str, offsets: Mapping[int, int]) -> None:
    """Move watermarks forward, never back: of two loads at once the slower one changes nothing."""
    now = datetime.now(UTC)
    moves = [
        UpdateOne(
            {"_id": watermark_id(topic, partition)},
            {"$max": {"offset": offset}, "$set": {"topic_id": topic_id, "written_at": now}},
            upsert=True,
        )
        for partition, offset in offsets.items()
    ]
    if moves:
        with errors("write the watermark"):
            database[WATERMARKS].bulk_write(moves, ordered=False)


def require_below(offsets: Mapping[int, int], ends: Mapping[int, int], topic: str) -> None:
    """TerminalError where a watermark lies behind the end of its partition: that topic has lost records."""
    beyond = [
        f"{watermark_id(topic, partition)} ({offset} of {ends[partition]})"
        for partition, offset in offsets.items()
        if offset > ends[partition]
    ]
    if beyond:
        raise TerminalError(f"the archive's watermark lies behind the end of {', '.join(beyond)}", RESET_HINT)


def record_gaps(database: Database[Document], gaps: list[Gap]) -> None:
    """Record gaps for good; the same one again changes nothing but its end."""
    now = datetime.now(UTC)
    writes = [
        UpdateOne(
            {"_id": f"{gap.topic}:{gap.partition}:{gap.start}"},
            {"$max": {"until": gap.until}, "$setOnInsert": {"detected_at": now}},
            upsert=True,
        )
        for gap in gaps
    ]
    if writes:
        with errors("record gaps"):
            database[EXPIRED_OFFSETS].bulk_write(writes, ordered=False)


def reset_offsets(database: Database[Document], topic: str, *, dry_run: bool = False) -> int:
    """Delete the watermarks of a topic, so that the next load reads it from its beginning; return their number."""
    of_topic = {"_id": {"$regex": f"^{topic.replace('.', '[.]')}:"}}
    with errors("reset offsets"):
        if dry_run:
            return database[WATERMARKS].count_documents(of_topic)
        return database[WATERMARKS].delete_many(of_topic).deleted_count
