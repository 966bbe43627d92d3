"""In-memory broker with the client calls that the gate uses: transactions, fencing, groups, and their faults.

`InMemoryProducer` and `InMemoryConsumer` stand in for confluent-kafka's classes. The faults of `CommitFault` cannot
be caused on a real broker at a given moment; those of tests/gate_harness.py can.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, NamedTuple, cast

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from include.contracts import topics

IDLE_S = 0.002


class CommitFault(Enum):
    """Fault of one commit."""

    RESPONSE_LOST = auto()
    """It is applied; the producer gets no response."""
    LATE = auto()
    """It is delivered by `InMemoryBroker.deliver_late` only; the producer gets no response."""
    RESENT = auto()
    """It is applied over a new connection; a copy arrives by `InMemoryBroker.deliver_late`."""


class TransactionState(Enum):
    """States of a transaction that readers distinguish."""

    OPEN = auto()
    COMMITTED = auto()
    ABORTED = auto()


@dataclass
class Transaction:
    """Records and offsets that become visible together."""

    state: TransactionState = TransactionState.OPEN
    partitions: set[tuple[str, int]] = field(default_factory=set)
    offsets: dict[tuple[str, int], TopicPartition] = field(default_factory=dict)


class Entry(NamedTuple):
    """One offset of a log; a control record has neither key nor value."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    transaction: Transaction | None
    is_control: bool = False


@dataclass
class ProducerState:
    """What the transaction coordinator stores of one transactional id."""

    epoch: int = -1
    transaction: Transaction | None = None


class Message:
    """A record as clients return it."""

    def __init__(self, topic: str, partition: int, offset: int, entry: Entry, timestamp_ms: int) -> None:
        self._position = topic, partition, offset
        self._entry, self._timestamp_ms = entry, timestamp_ms

    def error(self) -> None:
        return

    def topic(self) -> str:
        return self._position[0]

    def partition(self) -> int:
        return self._position[1]

    def offset(self) -> int:
        return self._position[2]

    def timestamp(self) -> tuple[int, int]:
        return 2, self._timestamp_ms

    def key(self) -> bytes | None:
        return self._entry.key

    def value(self) -> bytes | None:
        return self._entry.value

    def leader_epoch(self) -> None:
        return


class InMemoryBroker:
    """Logs, transactions by transactional id, and one consumer group. All methods are thread-safe."""

    def __init__(self, partitions: int = 2) -> None:
        self.lock = threading.RLock()
        self.partitions = range(partitions)
        self.logs: dict[tuple[str, int], list[Entry]] = defaultdict(list)
        self.producers: dict[str, ProducerState] = defaultdict(ProducerState)
        self.offsets: dict[int, TopicPartition] = {}
        self.generation = 0
        self.topic_id = "topic-1"
        self.max_bytes: dict[str, int] = {}
        self.commit_faults: list[CommitFault] = []
        self.late: list[tuple[str, int]] = []
        self.fenced_commits = 0
        self._skipped_s = 0.0

    def clock(self) -> float:
        """Return monotonic seconds, plus the time limits that expired in calls of the clients."""
        return time.monotonic() + self._skipped_s

    def expire(self, seconds: float) -> KafkaException:
        """Advance the clock by a call's time limit; return its error."""
        self._skipped_s += seconds
        return error_of(KafkaError._TIMED_OUT)

    def append(self, topic: str, partition: int, entry: Entry) -> int:
        """Append to a log; return the offset."""
        with self.lock:
            log = self.logs[topic, partition]
            log.append(entry)
            return len(log) - 1

    def init_producer(self, name: str) -> int:
        """Start a new epoch of a transactional id: fence older producers and abort their open transactions."""
        with self.lock:
            producer = self.producers[name]
            self._end(producer, TransactionState.ABORTED)
            producer.epoch += 1
            return producer.epoch

    def produce(self, name: str, epoch: int, topic: str, partition: int, entry: Entry) -> None:
        """Append a record of a transaction."""
        with self.lock:
            transaction = self._transaction(name, epoch)
            transaction.partitions.add((topic, partition))
            self.append(topic, partition, entry._replace(transaction=transaction))

    def add_offsets(self, name: str, epoch: int, generation: int, offsets: Sequence[TopicPartition]) -> None:
        """Add the group's offsets to a transaction."""
        with self.lock:
            transaction = self._transaction(name, epoch)
            if generation != self.generation:
                raise error_of(KafkaError.ILLEGAL_GENERATION)
            transaction.offsets.update({(offset.topic, offset.partition): offset for offset in offsets})

    def commit(self, name: str, epoch: int) -> None:
        """Commit the open transaction of this epoch."""
        with self.lock:
            self._require_epoch(name, epoch)
            self._end(self.producers[name], TransactionState.COMMITTED)

    def deliver_late(self) -> None:
        """Deliver the commits that were delayed or resent; those of an old epoch are rejected."""
        with self.lock:
            for name, epoch in self.late:
                try:
                    self.commit(name, epoch)
                except KafkaException:
                    self.fenced_commits += 1
            self.late.clear()

    def committed(self, partition: int) -> TopicPartition:
        """Return the group's offset; times out while an open transaction contains one."""
        with self.lock:
            for producer in self.producers.values():
                if producer.transaction is not None and (topics.RAW, partition) in producer.transaction.offsets:
                    raise self.expire(0.0)
            return self.offsets.get(partition, TopicPartition(topics.RAW, partition, -1001))

    def read_committed(self, topic: str, partition: int) -> list[tuple[int, Entry]]:
        """Return offsets and records below the last stable offset, without aborted and control records."""
        with self.lock:
            visible: list[tuple[int, Entry]] = []
            for offset, entry in enumerate(self.logs[topic, partition]):
                state = entry.transaction.state if entry.transaction is not None else TransactionState.COMMITTED
                if state is TransactionState.OPEN:
                    break
                if state is TransactionState.COMMITTED and not entry.is_control:
                    visible.append((offset, entry))
            return visible

    def rebalance(self) -> None:
        """Start a new generation of the group; the member gets its partitions again with its next poll."""
        with self.lock:
            self.generation += 1

    def recreate_raw_topic(self) -> None:
        """Delete and recreate the raw topic."""
        with self.lock:
            self.topic_id = f"{self.topic_id}+"
            for partition in self.partitions:
                self.logs[topics.RAW, partition].clear()

    def _require_epoch(self, name: str, epoch: int) -> None:
        if self.producers[name].epoch != epoch:
            raise error_of(KafkaError._FENCED)

    def _transaction(self, name: str, epoch: int) -> Transaction:
        self._require_epoch(name, epoch)
        producer = self.producers[name]
        producer.transaction = producer.transaction or Transaction()
        return producer.transaction

    def _end(self, producer: ProducerState, state: TransactionState) -> None:
        transaction, producer.transaction = producer.transaction, None
        if transaction is None:
            return
        transaction.state = state
        for topic, partition in transaction.partitions:
            self.append(topic, partition, Entry(None, None, (), transaction, is_control=True))
        if state is TransactionState.COMMITTED:
            self.offsets.update({partition: offset for (_, partition), offset in transaction.offsets.items()})


class InMemoryProducer:
    """A transactional producer; `config` is confluent-kafka's."""

    def __init__(self, broker: InMemoryBroker, config: dict[str, Any]) -> None:
        self._broker, self._config = broker, config
        self._name: str = config["transactional.id"]
        self._epoch = -1
        self._is_silent = False
        self._log_lines: list[str] = []
        self._batch: list[Message] = []

    def init_transactions(self, _: float) -> None:
        self._epoch = self._broker.init_producer(self._name)

    def begin_transaction(self) -> None:
        self._batch.clear()

    def produce(
        self, topic: str, value: bytes, key: bytes | None, partition: int, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        self._batch.append(Message(topic, partition, -1, Entry(key, value, headers, None), 0))

    def flush(self, _: float) -> int:
        """Send the batch: the broker rejects a whole request because of the size of one record.

        With one record per request, the failed transaction fails the records after it with another code.
        """
        is_single = self._config["batch.num.messages"] == 1
        oversize = {(message.topic(), message.partition()) for message in self._batch if self._is_oversize(message)}
        has_failed = False
        for message in self._batch:
            position = message.topic(), message.partition()
            if self._is_oversize(message) if is_single else position in oversize:
                has_failed = True
                self._config["on_delivery"](KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), message)
            elif has_failed:
                self._config["on_delivery"](KafkaError(KafkaError._PURGE_QUEUE), message)
            else:
                self._broker.produce(self._name, self._epoch, *position, message._entry)
        self._batch.clear()
        return 0

    def send_offsets_to_transaction(self, offsets: Sequence[TopicPartition], group: object, _: float) -> None:
        self._broker.add_offsets(self._name, self._epoch, cast(int, group), offsets)

    def commit_transaction(self, timeout_s: float) -> None:
        if self._is_silent:
            raise self._broker.expire(timeout_s)
        faults = self._broker.commit_faults
        fault = faults.pop(0) if faults else None
        if fault in (CommitFault.LATE, CommitFault.RESENT):
            self._broker.late.append((self._name, self._epoch))
        if fault is not CommitFault.LATE:
            self._broker.commit(self._name, self._epoch)
        if fault is CommitFault.RESENT:
            self._log_lines.append("FAIL [gate]: Disconnected: connection reset by peer")
        elif fault is not None:
            self._is_silent = True
            raise self._broker.expire(timeout_s)

    def poll(self, _: float) -> int:
        for line in self._log_lines:
            self._config["logger"].info(line)
        self._log_lines.clear()
        return 0

    def purge(self) -> None:
        self._batch.clear()

    def _is_oversize(self, message: Message) -> bool:
        return len(message.value() or b"") > self._broker.max_bytes.get(message.topic(), topics.MAX_MESSAGE_BYTES)


class InMemoryConsumer:
    """The only member of the gate's group; it reads all partitions of the raw topic."""

    def __init__(self, broker: InMemoryBroker, timestamp_ms: Callable[[], int]) -> None:
        self._broker, self._timestamp_ms = broker, timestamp_ms
        self._positions: dict[int, int] = {}
        self._generation = -1
        broker.rebalance()

    def subscribe(self, _: Sequence[str], on_assign: Callable[..., None], on_revoke: Callable[..., None]) -> None:
        self._on_assign, self._on_revoke = on_assign, on_revoke

    def consume(self, most: int, _: float) -> list[Message]:
        self._join()
        messages: list[Message] = []
        with self._broker.lock:
            for partition in self._positions:
                messages += self._read(partition, most - len(messages))
        if not messages:
            time.sleep(IDLE_S)
        return messages

    def committed(self, partitions: Sequence[TopicPartition], timeout: float) -> list[TopicPartition]:
        return [self._broker.committed(partition.partition) for partition in partitions]

    def get_watermark_offsets(self, partition: TopicPartition, timeout: float) -> tuple[int, int]:
        return 0, len(self._broker.logs[partition.topic, partition.partition])

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        self._positions = {partition.partition: partition.offset for partition in partitions}

    def consumer_group_metadata(self) -> int:
        return self._generation

    def close(self) -> None:
        self._positions = {}

    def _join(self) -> None:
        if self._generation == self._broker.generation:
            return
        partitions = [TopicPartition(topics.RAW, partition) for partition in self._broker.partitions]
        if self._generation >= 0:
            self._on_revoke(self, partitions)
        self._generation = self._broker.generation
        self._on_assign(self, partitions)

    def _read(self, partition: int, most: int) -> list[Message]:
        records = self._broker.read_committed(topics.RAW, partition)
        new = [(offset, entry) for offset, entry in records if offset >= self._positions[partition]][:most]
        if new:
            self._positions[partition] = new[-1][0] + 1
        return [Message(topics.RAW, partition, offset, entry, self._timestamp_ms()) for offset, entry in new]


def error_of(code: int) -> KafkaException:
    """Return the client's exception for a code."""
    return KafkaException(KafkaError(code))
