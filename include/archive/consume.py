"""One load: from the watermarks to the ends, partitions side by side, documents first and the watermark after.

Partitions are shared out among workers. Within a worker nothing overlaps: a batch is written, then its watermark moves,
then the next batch is read. A crash anywhere leaves documents that the next load writes again under the same ids.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from pymongo.database import Database

from include.archive import source, watermark
from include.archive.source import Source, describe
from include.archive.store import Document, durable
from include.archive.write import Written, write
from include.contracts import topics
from include.contracts.settings import Settings

LOG_INTERVAL_S = 5.0
CAUGHT_UP_S = 1.0
"""A worker that reads to the ends in less time has caught up: what arrived meanwhile is less than this."""

OnProgress = Callable[[str], None]


@dataclass(frozen=True)
class LoadReport:
    """What one load did.

    `sessions` and `undecodable`: records written. `behind`: offsets left below the ends, as last read.
    `gaps`: offsets that had expired before they were archived, found by this load.
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
    """Archive what is committed in `sessions.valid`, and what arrives meanwhile, until nothing is left.

    Any number of loads may run at once.

    Args:
        settings: addresses, `archive_batch`, `archive_workers`.
        database: the archive.
        deadline_s: stop after this time with the rest left to the next load; None: no limit.
        on_progress: gets progress and every gap.

    Raises:
        TransientError: Kafka or MongoDB is unavailable; the next load goes on where this one stopped.
        TerminalError: the topic was made anew, or MongoDB refuses the documents.
    """
    began = time.monotonic()
    store = durable(database)
    topic = describe(settings, topics.VALID)
    positions = watermark.read(store, topics.VALID, topic.topic_id, topic.partitions)
    bounds = source.bounds(settings, topics.VALID, topic.partitions)
    watermark.require_below(positions, bounds.ends, topics.VALID)
    gaps = _record_gaps(store, topic.topic_id, positions, bounds.beginnings, on_progress)
    positions |= {gap.partition: gap.until for gap in gaps}
    run = _Run(settings, store, topic.topic_id, None if deadline_s is None else began + deadline_s, on_progress)
    behind = _load_shares(run, positions, bounds.ends)
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
    """What the workers of one load share: where to write, when to stop, and the counts so far."""

    def __init__(
        self, settings: Settings, store: Database[Document], topic_id: str, until: float | None, on_progress: OnProgress
    ) -> None:
        self.settings, self.store, self.topic_id = settings, store, topic_id
        self.sessions = self.batches = self.undecodable = 0
        self._until, self._on_progress = until, on_progress
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._logged_at = time.monotonic()

    def stop(self) -> None:
        """Let every worker end after its batch."""
        self._stopped.set()

    @property
    def should_stop(self) -> bool:
        return self._stopped.is_set() or (self._until is not None and time.monotonic() >= self._until)

    def add(self, written: Written) -> None:
        with self._lock:
            self.batches += 1
            self.sessions += written.sessions
            self.undecodable += written.undecodable
            if time.monotonic() - self._logged_at >= LOG_INTERVAL_S:
                self._on_progress(f"{self.sessions:,} sessions archived")
                self._logged_at = time.monotonic()


def _load_shares(run: _Run, positions: dict[int, int], ends: dict[int, int]) -> int:
    """Load all partitions, several at once; how many offsets are left. The first error ends all workers."""
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
            # Also where this thread is interrupted: a task that is killed or timed out waits for no worker's deadline.
            run.stop()


def _load_share(run: _Run, positions: dict[int, int], ends: dict[int, int]) -> int:
    """Load some partitions until caught up or told to stop; how many offsets are left below the last known ends."""
    if run.should_stop or not _behind(positions, ends):
        return _behind(positions, ends)
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
                    return _behind(positions, ends)
            if time.monotonic() - began < CAUGHT_UP_S:
                return 0
            ends = reader.ends()


def _behind(positions: dict[int, int], ends: dict[int, int]) -> int:
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
            f"{gap.topic}:{gap.partition} offsets {gap.start} to {gap.until - 1} expired before they were archived"
        )
    # A gap is behind us once it is recorded, even where nothing is left to read.
    watermark.advance(store, topics.VALID, topic_id, {gap.partition: gap.until for gap in gaps})
    return gaps
