"""Watermarks of the archive, stored in MongoDB, and gaps of expired offsets."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pymongo import UpdateOne
from pymongo.database import Database

from include.clients.mongodb import Document, translate_errors
from include.contracts.collections import EXPIRED_OFFSETS, WATERMARKS, watermark_id
from include.contracts.errors import TerminalError

RESET_HINT = (
    "if the topic was recreated on purpose, run `./showroom archive reset-offsets --yes`: "
    "sessions are stored under their ids, so none is stored twice"
)


@dataclass(frozen=True)
class Gap:
    """Offsets [start, end_offset) of one partition that expired before they were archived."""

    topic: str
    partition: int
    start: int
    end_offset: int

    @property
    def offsets(self) -> int:
        """Return the number of offsets, including transaction markers."""
        return self.end_offset - self.start


def read(database: Database[Document], topic: str, topic_id: str, partitions: int) -> dict[int, int]:
    """Return partition -> next offset to read; 0 for a partition without a watermark.

    Raises:
        TerminalError: A watermark belongs to an earlier topic of the same name.
    """
    names = {watermark_id(topic, partition): partition for partition in range(partitions)}
    with translate_errors("read the watermark"):
        results = list(database[WATERMARKS].find({"_id": {"$in": list(names)}}))
    stale = [str(entry["_id"]) for entry in results if entry.get("topic_id") != topic_id]
    if stale:
        raise TerminalError(f"the archive's watermark of {', '.join(stale)} is of an earlier topic", RESET_HINT)
    return dict.fromkeys(names.values(), 0) | {names[entry["_id"]]: entry["offset"] for entry in results}


def advance(database: Database[Document], topic: str, topic_id: str, offsets: Mapping[int, int]) -> None:
    """Advance watermarks. A lower offset has no effect, so concurrent loads are safe."""
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
        with translate_errors("write the watermark"):
            database[WATERMARKS].bulk_write(moves, ordered=False)


def require_below(offsets: Mapping[int, int], ends: Mapping[int, int], topic: str) -> None:
    """Raise TerminalError if a watermark exceeds the end of its partition, because the topic has lost records."""
    ahead = [
        f"{watermark_id(topic, partition)} ({offset} of {ends[partition]})"
        for partition, offset in offsets.items()
        if offset > ends[partition]
    ]
    if ahead:
        raise TerminalError(f"the archive's watermark lies behind the end of {', '.join(ahead)}", RESET_HINT)


def record_gaps(database: Database[Document], gaps: list[Gap]) -> None:
    """Store gaps. Storing a gap again only extends its end."""
    now = datetime.now(UTC)
    writes = [
        UpdateOne(
            {"_id": f"{gap.topic}:{gap.partition}:{gap.start}"},
            {"$max": {"until": gap.end_offset}, "$setOnInsert": {"detected_at": now}},
            upsert=True,
        )
        for gap in gaps
    ]
    if writes:
        with translate_errors("record gaps"):
            database[EXPIRED_OFFSETS].bulk_write(writes, ordered=False)


def reset_offsets(database: Database[Document], topic: str, *, dry_run: bool = False) -> int:
    """Delete the watermarks of a topic, so that the next load reads it from its beginning; return their number."""
    topic_filter = {"_id": {"$regex": f"^{topic.replace('.', '[.]')}:"}}
    with translate_errors("reset offsets"):
        if dry_run:
            return database[WATERMARKS].count_documents(topic_filter)
        return database[WATERMARKS].delete_many(topic_filter).deleted_count
