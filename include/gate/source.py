"""The gate's consumer: records by partition, from offsets that the gate determines itself."""

import logging
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition

from include.clients.confluent_kafka import create_consumer, ignore_error
from include.contracts import topics
from include.contracts.errors import TransientError
from include.gate.clock import Clock
from include.gate.gaps import GapStore
from include.gate.kafka_errors import OFFSET_LOST_CODES
from include.gate.start_offsets import NO_OFFSET, Committed, Log, Resume, Start, decide_start, gap_at

log = logging.getLogger(__name__)

SESSION_TIMEOUT_MS = 10_000
REQUEST_TIMEOUT_S = 5.0
POLL_S = 0.25
FETCH_BYTES = 8 * 1024 * 1024
QUEUE_KBYTES = 32 * 1024


class Polled(NamedTuple):
    """A record as the gate reads it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    leader_epoch: int | None


class ReassignmentError(TransientError):
    """The gate must read its offsets again, with new clients."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"reading offsets again: {reason}", "none: it continues")


class RecordSource:
    """One consumer of the group. A partition with lost offsets is stopped, recorded and skipped."""

    def __init__(
        self, bootstrap: str, name: str, batch: int, topic_id: str, gaps: GapStore, unix_time: Clock = time.time
    ) -> None:
        self._unix_time = unix_time
        self._topic_id = topic_id
        self._gaps = gaps
        self._assigned: list[int] = []
        self.stopped: list[int] = []
        self._starts: list[TopicPartition] = []
        self._revoked = False
        self._consumer = create_consumer(bootstrap, name, _config(name, batch))
        self._consumer.subscribe([topics.RAW], on_assign=self._on_assign, on_revoke=self._on_revoke)

    @property
    def assigned(self) -> Sequence[int]:
        """All partitions of this process, including stopped ones."""
        return self._assigned

    def poll(self, most: int) -> list[list[Polled]]:
        """Return the records that have arrived, by partition: waits for one record, never for a full batch."""
        self._revoked = False
        messages: list[Any] = self._consumer.consume(1, POLL_S)
        if messages and most > 1:
            messages += self._consumer.consume(most - 1, 0)
        if self._revoked:
            # Another process may own these records now; it reads them from the committed offset.
            # Records of a new assignment may be among them, so this process returns to its committed offsets too.
            if self._starts:
                self._consumer.assign(self._starts)
            return []
        groups: dict[int, list[Polled]] = {}
        for message in messages:
            if message.error():
                self._handle_error(message)
            record = Polled(
                topics.RAW,
                message.partition(),
                message.offset(),
                message.timestamp()[1],
                message.key(),
                message.value(),
                message.leader_epoch(),
            )
            if (group := groups.get(record.partition)) is None:
                groups[record.partition] = group = []
            group.append(record)
        return list(groups.values())

    def offsets_behind(self, polled: Sequence[Sequence[Polled]]) -> list[TopicPartition]:
        """Return the offsets to commit with these records."""
        return [
            _position(records[-1].partition, records[-1].offset + 1, self._topic_id, records[-1].leader_epoch)
            for records in polled
        ]

    def group(self) -> Any:
        """Return the group's metadata for the transaction, including its generation."""
        return self._consumer.consumer_group_metadata()

    def close(self) -> None:
        """Leave the group; the static member retains its partitions for the session timeout."""
        self._consumer.close()

    def _handle_error(self, message: Any) -> None:
        error = message.error()
        if error.code() not in OFFSET_LOST_CODES or message.partition() < 0:
            raise KafkaException(error)
        partition = message.partition()
        position = message.offset()
        gap = gap_at(partition, position, self._log(partition), self._topic_id, self._unix_time())
        self._gaps.stop(gap)
        raise ReassignmentError(f"{gap.description} ({error.str()})")

    def _on_revoke(self, _: Consumer, __: list[TopicPartition]) -> None:
        self._revoked = True
        self._assigned, self.stopped, self._starts = [], [], []

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = [partition.partition for partition in partitions]
        stopped = self._gaps.stopped(numbers)
        committed = {
            topic_partition.partition: _committed(topic_partition)
            for topic_partition in consumer.committed(partitions, timeout=REQUEST_TIMEOUT_S)
        }
        starts: list[TopicPartition] = []
        left_out: list[int] = []
        for number in numbers:
            start = decide_start(
                number, committed[number], self._log(number), self._topic_id, stopped.get(number), self._unix_time()
            )
            if isinstance(start, Start):
                if start.reason:
                    log.warning("partition %d: %s (offset %d)", number, start.reason, start.offset)
                starts.append(_position(number, start.offset, self._topic_id, start.leader_epoch))
            elif isinstance(start, Resume):
                starts.append(self._resume(start, number))
            else:
                self._gaps.stop(start)
                left_out.append(number)
                log.error(
                    "partition stopped: %s; run ./showroom gate resume --partition %d --from gap",
                    start.description,
                    number,
                )
        consumer.assign(starts)
        self._assigned, self.stopped, self._starts = numbers, left_out, starts

    def _resume(self, start: Resume, number: int) -> TopicPartition:
        """Commit first: a crash in between repeats the same step."""
        position = _position(number, start.offset, self._topic_id, None)
        self._consumer.commit(offsets=[position], asynchronous=False)
        self._gaps.resolve(start.gap, start.offset)
        log.warning("partition %d resumed at offset %d after a gap (%s)", number, start.offset, start.gap.description)
        return position

    def _log(self, partition: int) -> Log:
        watermarks = self._consumer.get_watermark_offsets(
            TopicPartition(topics.RAW, partition), timeout=REQUEST_TIMEOUT_S
        )
        if watermarks is None:
            raise TransientError(f"offsets of partition {partition} are unavailable", "./showroom logs kafka")
        return Log(*watermarks)


def _position(partition: int, offset: int, topic_id: str, leader_epoch: int | None) -> TopicPartition:
    if leader_epoch is None or leader_epoch < 0:
        return TopicPartition(topics.RAW, partition, offset, metadata=topic_id)
    return TopicPartition(topics.RAW, partition, offset, metadata=topic_id, leader_epoch=leader_epoch)


def _committed(topic_partition: TopicPartition) -> Committed | None:
    if topic_partition.error is not None:
        raise KafkaException(topic_partition.error)
    if topic_partition.offset <= NO_OFFSET:
        return None
    return Committed(topic_partition.offset, topic_partition.metadata or "", topic_partition.leader_epoch)


def _config(name: str, batch: int) -> dict[str, Any]:
    return {
        "group.id": topics.GATE_GROUP,
        # Static membership: a restarted process gets its partitions back at once, without waiting for a session
        # timeout.
        "group.instance.id": name,
        # A lost position is an error, never a reason to start from the beginning.
        "auto.offset.reset": "error",
        "fetch.wait.max.ms": 100,
        "fetch.max.bytes": FETCH_BYTES,
        "max.partition.fetch.bytes": topics.MAX_MESSAGE_BYTES,
        "queued.min.messages": 4 * batch,
        "queued.max.messages.kbytes": QUEUE_KBYTES,
        "session.timeout.ms": SESSION_TIMEOUT_MS,
        "heartbeat.interval.ms": SESSION_TIMEOUT_MS // 4,
        "error_cb": ignore_error,
    }
