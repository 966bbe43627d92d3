"""The transactional loop: poll, process, and commit outputs with offsets as one Kafka transaction.

A crash at any point is harmless. Before the commit, `read_committed` readers see nothing and the offsets are unchanged.
Redis returns the first verdicts for a redelivered batch.

One thread processes a batch while another commits the batch before it, so that the waits for Redis and Kafka overlap.
Batches are committed in order. After any error both clients are discarded: a new producer settles the last transaction,
then a new consumer reads the committed offsets.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any, Protocol

from confluent_kafka import TopicPartition

from include.gate.batch_processor import BatchProcessor, Output
from include.gate.clock import Clock
from include.gate.shutdown import ShutdownSignal, exit_now
from include.gate.sink import TRANSACTION_LIMIT_S
from include.gate.source import Polled

log = logging.getLogger(__name__)

HEARTBEAT_INTERVAL_S = 1.0
HANG_LIMIT_S = TRANSACTION_LIMIT_S + 5.0
"""Every call of a commit has its own limit; a commit that exceeds their sum hangs in the client."""


class Source(Protocol):
    """Source of records (include/gate/source.py)."""

    @property
    def assigned(self) -> Sequence[int]:
        """Partitions of this process."""
        ...

    def poll(self, most: int) -> list[list[Polled]]:
        """Return records by partition."""
        ...

    def offsets_behind(self, polled: Sequence[Sequence[Polled]]) -> list[TopicPartition]:
        """Return the offsets to commit with the records."""
        ...

    def group(self) -> Any:
        """Return the group's metadata."""
        ...


class Sink(Protocol):
    """Sink of transactions (include/gate/sink.py)."""

    def commit(self, outputs: Sequence[Output], offsets: list[TopicPartition], group: Any) -> None:
        """Commit one transaction."""
        ...


class State(Protocol):
    """Receiver of heartbeats (include/gate/state.py)."""

    def beat(self, partitions: Sequence[int]) -> None:
        """Record that a process reads these partitions."""
        ...


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Passes records to the processor until a stop is requested or a part raises.

    `verify` runs after each poll, before the verdicts; `each_second` runs with the heartbeat. Both may raise.
    """

    source: Source
    sink: Sink
    state: State
    processor: BatchProcessor
    batch: int
    stop: ShutdownSignal
    clock: Clock
    verify: Callable[[], None] = lambda: None
    each_second: Callable[[], None] = lambda: None
    hang_limit_s: float = HANG_LIMIT_S

    def run(self) -> None:
        """Run until a stop is requested; commit the processed batch first."""
        committer = ThreadPoolExecutor(1, thread_name_prefix="commit")
        pending: Future[None] | None = None
        heartbeat_at = float("-inf")
        try:
            while not self.stop.is_requested:
                polled = self.source.poll(self.batch)
                decided = self._decide(polled) if polled else None
                if pending is not None and (decided is not None or pending.done()):
                    self._settle(pending)
                    pending = None
                if decided is not None:
                    pending = committer.submit(self.sink.commit, *decided)
                if self.clock() >= heartbeat_at:  # Also while busy, because some partitions may be idle.
                    self.state.beat(self.source.assigned)
                    self.each_second()
                    heartbeat_at = self.clock() + HEARTBEAT_INTERVAL_S
            if pending is not None:
                self._settle(pending)
        finally:
            # The sink is discarded next, so its thread must have ended, whatever the outcome.
            if pending is not None and not pending.done():
                self._settle(pending, quiet=True)
            committer.shutdown(wait=False)

    def _decide(self, polled: list[list[Polled]]) -> tuple[list[Output], list[TopicPartition], Any]:
        """The contents of one transaction: outputs, the offsets of their records, the group's metadata."""
        group, offsets = self.source.group(), self.source.offsets_behind(polled)
        self.verify()
        return self.processor.decide(polled), offsets, group

    def _settle(self, pending: "Future[None]", *, quiet: bool = False) -> None:
        try:
            error = pending.exception(timeout=self.hang_limit_s)
        except FutureTimeoutError:
            exit_now(f"a commit hangs for more than {self.hang_limit_s:g} s, ending the process")
            raise
        if error is not None and not quiet:
            raise error
