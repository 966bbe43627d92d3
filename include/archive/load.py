"""One load: from the watermark to the ends of now, batch by batch, documents first and the watermark after.

A crash between the two leaves documents that the next load writes again under the same ids.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo import ReplaceOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from include.archive import documents, watermark
from include.archive.source import Source, describe
from include.archive.store import Document, durable, errors
from include.contracts import topics
from include.contracts.archive import SESSIONS, UNREADABLE
from include.contracts.settings import Settings

SAY_S = 5.0
LONGEST_REASON = 300
DUPLICATE_KEY = 11_000
ATTEMPTS = 3

Say = Callable[[str], None]


@dataclass(frozen=True)
class LoadReport:
    """What one load did.

    `sessions` and `unreadable`: records written. `behind`: offsets left below the ends of the start.
    `gaps`: offsets that had expired before they were archived, found by this load.
    """

    sessions: int
    batches: int
    partitions: int
    behind: int
    unreadable: int
    gaps: int
    seconds: float


def load(
    settings: Settings,
    database: Database[Document],
    *,
    max_sessions: int | None = None,
    deadline_s: float | None = None,
    say: Say = lambda _: None,
) -> LoadReport:
    """Archive what is committed in `sessions.valid` now; stops early behind `max_sessions` or `deadline_s`.

    Any number of loads may run at once. `say` gets progress and every gap. Raises TransientError while Kafka or
    MongoDB is away (the next load goes on where this one stood) and TerminalError where the topic was made anew.
    """
    began = time.monotonic()
    store = durable(database)
    topic = describe(settings, topics.VALID)
    tally = _Tally(max_sessions, began + deadline_s if deadline_s is not None else None, say)
    with Source(settings, topics.VALID, topic.partitions) as source:
        starts = watermark.read(store, topics.VALID, topic.topic_id, topic.partitions)
        ends = source.ends()
        watermark.require_below(starts, ends, topics.VALID)
        gaps = _gaps(starts, source.beginnings())
        watermark.keep_gaps(store, gaps)
        for gap in gaps:
            say(f"{gap.topic}:{gap.partition} offsets {gap.start} to {gap.until - 1} expired before they were archived")
        at = starts | {gap.partition: gap.until for gap in gaps}
        # A gap is behind us once it is recorded, even where nothing is left to read.
        watermark.advance(store, topics.VALID, topic.topic_id, {gap.partition: gap.until for gap in gaps})
        for batch in source.read(at, ends) if not tally.enough else ():
            _write(store, batch.records, tally)
            watermark.advance(store, topics.VALID, topic.topic_id, batch.positions)
            at |= batch.positions
            if tally.enough:
                break
    return LoadReport(
        sessions=tally.sessions,
        batches=tally.batches,
        partitions=topic.partitions,
        behind=sum(max(0, end - at[partition]) for partition, end in ends.items()),
        unreadable=tally.unreadable,
        gaps=sum(gap.offsets for gap in gaps),
        seconds=time.monotonic() - began,
    )


class _Tally:
    """What was written so far, and whether that is enough."""

    def __init__(self, max_sessions: int | None, until: float | None, say: Say) -> None:
        self.sessions = self.batches = self.unreadable = 0
        self._max_sessions = max_sessions
        self._until = until
        self._say = say
        self._said_at = time.monotonic()

    @property
    def enough(self) -> bool:
        if self._max_sessions is not None and self.sessions >= self._max_sessions:
            return True
        return self._until is not None and time.monotonic() >= self._until

    def add(self, sessions: int, unreadable: int) -> None:
        self.batches += 1
        self.sessions += sessions
        self.unreadable += unreadable
        if time.monotonic() - self._said_at >= SAY_S:
            self._say(f"{self.sessions:,} sessions archived")
            self._said_at = time.monotonic()


def _gaps(starts: dict[int, int], beginnings: dict[int, int]) -> list[watermark.Gap]:
    return [
        watermark.Gap(topics.VALID, partition, start, beginnings[partition])
        for partition, start in sorted(starts.items())
        if beginnings[partition] > start
    ]


def _write(store: Database[Document], records: Iterable[Any], tally: _Tally) -> None:
    sessions: dict[str, Document] = {}
    unreadable: dict[str, Document] = {}
    written = 0
    for record in records:
        try:
            found = documents.document(documents.decode(record.value or b""))
        except ValueError as error:
            refused = _unreadable(record, error)
            unreadable[refused["_id"]] = refused
            continue
        written += 1
        sessions[found["_id"]] = found
    _upsert(store, SESSIONS, sessions)
    _upsert(store, UNREADABLE, unreadable)
    if written or unreadable:
        tally.add(written, len(unreadable))


def _unreadable(record: Any, error: ValueError) -> Document:
    return {
        "_id": f"{record.topic}:{record.partition}:{record.offset}",
        "value": record.value,
        "reason": str(error)[:LONGEST_REASON],
        "written_at": datetime.now(UTC),
    }


def _upsert(store: Database[Document], collection: str, found: dict[str, Document]) -> None:
    if not found:
        return
    writes = [ReplaceOne({"_id": identity}, entry, upsert=True) for identity, entry in found.items()]
    with errors(f"write {collection}"):
        for attempt in range(1, ATTEMPTS + 1):
            try:
                store[collection].bulk_write(writes, ordered=False)
                return
            except BulkWriteError as error:
                # Two loads that insert the same id at once: one is told so, and replaces it now.
                if attempt == ATTEMPTS or not _only_duplicates(error):
                    raise


def _only_duplicates(error: BulkWriteError) -> bool:
    told = error.details.get("writeErrors", [])
    refused = error.details.get("writeConcernErrors", [])
    return bool(told) and not refused and all(entry.get("code") == DUPLICATE_KEY for entry in told)
