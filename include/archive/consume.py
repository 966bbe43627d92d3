"""One load: archive all partitions from their watermarks to their ends.

Workers share the partitions. A worker reads a batch, writes its documents, then advances the watermark. After a crash
the next load writes some documents again, under the same ids.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from pymongo.database import Database

from include.archive import source, watermark
from include.archive.source import Source, describe
from include.archive.store import durable
from include.archive.write import Written, write
from include.clients.mongodb import Document
from include.contracts import topics
from include.contracts.settings import Settings

LOG_INTERVAL_S = 5.0
CATCH_UP_THRESHOLD_S = 1.0
"""A worker has caught up once it reads to the ends in less time: fewer records arrived meanwhile."""

OnProgress = Callable[[str], None]


@dataclass(frozen=True)
class LoadReport:
    """Result of one load.

    `sessions` and `undecodable`: records written. `behind`: offsets left below the ends, as last read.
    `gaps`: expired offsets that this load detected.
    """

    sessions: int
    batches: int
    partitions: int
    behind: int
    undecodable: int
    gaps: int
    seconds: float


def load(
    settings: Settings,
    database: Database[Document],
    *,
    deadline_s: float | None = None,
    on_progress: OnProgress = lambda _: None,
) -> LoadReport:
    """Archive committed records of `sessions.valid`, including those that arrive meanwhile, until the lag is 0.

    Concurrent loads are safe.

    Args:
        settings: addresses, `archive_batch`, `archive_workers`.
        database: the archive.
        deadline_s: stop after this time; the next load continues. None: no limit.
        on_progress: called with a message for progress and for every gap.

    Raises:
        TransientError: Kafka or MongoDB is unavailable; the next load continues from the watermarks.
        TerminalError: the topic was recreated, or MongoDB rejects the documents.
    """
    began = time.monotonic()
    store = durable(database)
    topic = describe(settings.kafka, topics.VALID)
    positions = watermark.read(store, topics.VALID, topic.topic_id, topic.partitions)
    bounds = source.bounds(settings.kafka, topics.VALID, topic.partitions)
    watermark.require_below(positions, bounds.ends, topics.VALID)
    gaps = _record_gaps(store, topic.topic_id, positions, bounds.beginnings, on_progress)
    positions |= {gap.partition: gap.end_offset for gap in gaps}
    run = _Run(settings, store, topic.topic_id, None if deadline_s is None else began + deadline_s, on_progress)
    behind = _load_partitions(run, positions, bounds.ends)
    return LoadReport(
        sessions=run.sessions,
        batches=run.batches,
        partitions=topic.partitions,
        behind=behind,
        undecodable=run.undecodable,
        gaps=sum(gap.offsets for gap in gaps),
        seconds=time.monotonic() - began,
    )


class _Run:
    """State shared by the workers of one load: database, deadline and counts."""

    def __init__(
        self,
        settings: Settings,
        store: Database[Document],
        topic_id: str,
        deadline: float | None,
        on_progress: OnProgress,
    ) -> None:
        self.settings, self.store, self.topic_id = settings, store, topic_id
        self.sessions = self.batches = self.undecodable = 0
        self._deadline, self._on_progress = deadline, on_progress
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._logged_at = time.monotonic()

    def stop(self) -> None:
        """Make every worker return after its current batch."""
        self._stopped.set()

    @property
    def should_stop(self) -> bool:
        return self._stopped.is_set() or (self._deadline is not None and time.monotonic() >= self._deadline)

    def add(self, written: Written) -> None:
        with self._lock:
            self.batches += 1
            self.sessions += written.sessions
            self.undecodable += written.undecodable
            if time.monotonic() - self._logged_at >= LOG_INTERVAL_S:
                self._on_progress(f"{self.sessions:,} sessions archived")
                self._logged_at = time.monotonic()


def _load_partitions(run: _Run, positions: dict[int, int], ends: dict[int, int]) -> int:
    """Load all partitions concurrently; return the lag in offsets. The first error stops all workers."""
    workers = min(run.settings.archive.workers, len(positions))
    shares = [{partition: positions[partition] for partition in sorted(positions)[n::workers]} for n in range(workers)]

    def work(share: dict[int, int]) -> int:
        try:
            return _load_share(run, share, {partition: ends[partition] for partition in share})
        except BaseException:
            run.stop()
            raise

    with ThreadPoolExecutor(workers, thread_name_prefix="archive") as pool:
        try:
            pending: list[Future[int]] = [pool.submit(work, share) for share in shares]
            return sum(future.result() for future in pending)
        finally:
            # Because a killed task must not wait for the deadline of its workers.
            run.stop()


def _load_share(run: _Run, positions: dict[int, int], ends: dict[int, int]) -> int:
    """Load some partitions until caught up or stopped; return the lag in offsets below the last known ends."""
    if run.should_stop or not _count_lag(positions, ends):
        return _count_lag(positions, ends)
    with Source(run.settings, topics.VALID, positions) as reader:
        while True:
            began = time.monotonic()
            for batch in reader.read(positions, ends):
                written = write(run.store, batch.records)
                watermark.advance(run.store, topics.VALID, run.topic_id, batch.positions)
                positions |= batch.positions
                if batch.records:
                    run.add(written)
                if run.should_stop:
                    return _count_lag(positions, ends)
            if time.monotonic() - began < CATCH_UP_THRESHOLD_S:
                return 0
            ends = reader.ends()


def _count_lag(positions: dict[int, int], ends: dict[int, int]) -> int:
    return sum(max(0, end - positions[partition]) for partition, end in ends.items())


def _record_gaps(
    store: Database[Document],
    topic_id: str,
    starts: dict[int, int],
    beginnings: dict[int, int],
    on_progress: OnProgress,
) -> list[watermark.Gap]:
    gaps = [
        watermark.Gap(topics.VALID, partition, start, beginnings[partition])
        for partition, start in sorted(starts.items())
        if beginnings[partition] > start
    ]
    watermark.record_gaps(store, gaps)
    for gap in gaps:
        on_progress(
            f"{gap.topic}:{gap.partition} offsets {gap.start} to {gap.end_offset - 1} expired before they were archived"
        )
    # Advance the watermark past the gap, because there may be no record to read after it.
    watermark.advance(store, topics.VALID, topic_id, {gap.partition: gap.end_offset for gap in gaps})
    return gaps
