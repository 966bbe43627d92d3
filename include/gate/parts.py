"""Dependencies of a gate process. Tests replace them with those of an in-memory broker."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from include.clients.redis import connect
from include.contracts import redis_keys
from include.contracts.offset_gap import OffsetGap
from include.contracts.settings import Settings
from include.gate.clock import Clock
from include.gate.gaps import GapStore
from include.gate.lease import IndexLease
from include.gate.loop import State
from include.gate.pseudonym import key_check, pseudonymizer
from include.gate.shutdown import ShutdownSignal
from include.gate.sink import TransactionSink
from include.gate.source import RecordSource
from include.gate.state import Batch, GateState
from include.gate.topic import RawTopic

REDIS_TIMEOUT_S = 5.0


class Topic(Protocol):
    """The raw topic (include/gate/topic.py)."""

    def id(self) -> str:
        """Return the broker's id of the topic."""
        ...


class Lease(Protocol):
    """The lease of the process's index (include/gate/lease.py)."""

    def acquire(self) -> None:
        """Take the lease."""
        ...

    def renew(self) -> None:
        """Extend the lease."""
        ...

    def release(self) -> None:
        """Release the lease."""
        ...


class Gaps(Protocol):
    """Gaps of stopped partitions (include/gate/gaps.py)."""

    def stopped(self, partitions: Sequence[int]) -> dict[int, OffsetGap]:
        """Return the gaps by partition."""
        ...


class ClosableState(State, Protocol):
    """The gate's state with its connections (include/gate/state.py)."""

    def decide(self, batches: Sequence[Batch]) -> list[str]:
        """Return the verdict letters of each batch."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


@dataclass(frozen=True, kw_only=True)
class GateParts:
    """Dependencies of a gate process. Each `open_` call creates new clients, which replace failed ones."""

    topic: Topic
    lease: Lease
    gaps: Gaps
    open_sink: Callable[[bool], TransactionSink]
    """Argument: whether to send one record per request."""
    open_source: Callable[[str], RecordSource]
    """Takes the topic's id."""
    open_state: Callable[[str], ClosableState]
    """Takes the topic's id."""
    store_key_check: Callable[[], object] = lambda: None
    """Stores the check value of the pseudonym key, for the commands that change the block list."""
    clock: Clock = time.monotonic


def connect_parts(settings: Settings, index: int, stop: ShutdownSignal) -> GateParts:
    """Return the parts for the settings' Kafka and Redis; they connect on first use."""
    name, bootstrap = f"gate-{index}", settings.kafka.bootstrap_servers
    pseudonym = pseudonymizer(settings.gate.require_pseudonym_key())
    client = connect(settings.redis.url.reveal(), timeout_s=REDIS_TIMEOUT_S)
    gaps = GapStore(client)
    return GateParts(
        topic=RawTopic(bootstrap, name),
        lease=IndexLease(client, index, stop),
        gaps=gaps,
        open_sink=lambda single: TransactionSink(bootstrap, name, single=single),
        open_source=lambda topic_id: RecordSource(bootstrap, name, settings.gate.batch_size, topic_id, gaps),
        open_state=lambda topic_id: GateState(settings, topic_id, stop),
        store_key_check=partial(client.set, redis_keys.pseudonym_check(), key_check(pseudonym)),
    )
