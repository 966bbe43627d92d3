"""The transactional loop: poll, decide, and commit outputs with offsets as one Kafka transaction.

A crash between any two lines is harmless: before the commit nothing is visible to `read_committed`
readers and the offsets stand where they were; Redis answers the redelivered batch with its first verdicts.
One batch is decided while the one before it is committed, by one thread each, so that the waits for Redis
and Kafka overlap; a batch is committed only after the one before it. After any error both clients are thrown
away: a new producer settles the last transaction, then a new consumer reads the offsets it left.
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

BEAT_S = 1.0
HANG_LIMIT_S = TRANSACTION_LIMIT_S + 5.0
"""Every call of a commit has a limit of its own; a commit that outlives them all hangs in the client."""


class Source(Protocol):
    """Where records come from (include/gate/source.py)."""

    @property
    def assigned(self) -> Sequence[int]:
        """Partitions of this process."""
        ...

    def poll(self, most: int) -> list[list[Polled]]:
        """Records by partition."""
        ...

    def offsets_behind(self, polled: Sequence[Sequence[Polled]]) -> list[TopicPartition]:
        """Offsets to commit with the records."""
        ...

    def group(self) -> Any:
        """The group's metadata."""
        ...


class Sink(Protocol):
    """Where transactions go (include/gate/sink.py)."""

    def commit(self, outputs: Sequence[Output], offsets: list[TopicPartition], group: Any) -> None:
        """One transaction."""
        ...


class State(Protocol):
    """Where heartbeats go (include/gate/state.py)."""

    def beat(self, partitions: Sequence[int]) -> None:
        """Record that a process reads these partitions."""
        ...


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Pumps records through the judge until it is asked to stop or a part raises.

    `verify` runs after each poll, before the verdicts; `each_second` with the heartbeat. Both may raise.
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
        """Work until asked to stop; what was decided is committed first."""
        committer = ThreadPoolExecutor(1, thread_name_prefix="commit")
        pending: Future[None] | None = None
        beat_at = float("-inf")
        try:
            while not self.stop.is_requested:
                polled = self.source.poll(self.batch)
                decided = self._decide(polled) if polled else None
                if pending is not None and (decided is not None or pending.done()):
                    self._settle(pending)
                    pending = None
                if decided is not None:
                    pending = committer.submit(self.sink.commit, *decided)
                if self.clock() >= beat_at:  # also while busy: some of its partitions may be idle
                    self.state.beat(self.source.assigned)
                    self.each_second()
                    beat_at = self.clock() + BEAT_S
            if pending is not None:
                self._settle(pending)
        finally:
            # The sink is discarded next, so its thread must have left it, whatever the outcome.
            if pending is not None and not pending.done():
                self._settle(pending, quiet=True)
            committer.shutdown(wait=False)

    def _decide(self, polled: list[list[Polled]]) -> tuple[list[Output], list[TopicPartition], Any]:
        """What one transaction must hold: outputs, the offsets behind their records, the group's generation."""
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
