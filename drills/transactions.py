"""The gate's transactions in Kafka: open transactions, and records of aborted ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from kafka import KafkaConsumer, TopicPartition

from include.clients.kafka import create_consumer
from include.contracts import topics
from include.contracts.settings import KafkaSettings

POLL_MS = 500
EMPTY_POLLS = 20
Isolation = Literal["read_committed", "read_uncommitted"]
Offsets = dict[TopicPartition, int]


class Transactions:
    """Reader of the gate's output partitions with both isolation levels."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._partitions = [
            TopicPartition(topic, partition)
            for topic in (topics.VALID, topics.REJECTED)
            for partition in range(settings.partitions)
        ]
        with _consumer(settings, "read_uncommitted") as consumer:
            self._start: Offsets = consumer.end_offsets(self._partitions)

    @contextmanager
    def watch(self) -> Iterator["OpenTransaction"]:
        """Yield a function that returns whether a transaction is open."""
        with (
            _consumer(self._settings, "read_uncommitted") as end,
            _consumer(self._settings, "read_committed") as stable,
        ):
            yield OpenTransaction(end, stable, self._partitions)

    def aborted_records(self) -> int:
        """Return the number of records of aborted transactions since the creation of this object."""
        return self._count("read_uncommitted") - self._count("read_committed")

    def _count(self, isolation: Isolation) -> int:
        """Return the number of records since creation that a reader of this isolation level gets."""
        count = idle = 0
        with _consumer(self._settings, isolation) as consumer:
            ends = consumer.end_offsets(self._partitions)
            consumer.assign(self._partitions)
            for partition, offset in self._start.items():
                consumer.seek(partition, offset)
            while idle < EMPTY_POLLS and any(consumer.position(part) < ends[part] for part in self._partitions):
                polled = consumer.poll(timeout_ms=POLL_MS)
                idle = 0 if polled else idle + 1
                count += sum(map(len, polled.values()))
        return count


class OpenTransaction:
    """Check for an open transaction: the end offset exceeds the last stable offset."""

    def __init__(self, end: KafkaConsumer, stable: KafkaConsumer, partitions: list[TopicPartition]) -> None:
        self._end, self._stable, self._partitions = end, stable, partitions

    def __call__(self) -> bool:
        """Return whether a transaction is open."""
        stable: Offsets = self._stable.end_offsets(self._partitions)
        end: Offsets = self._end.end_offsets(self._partitions)
        return any(end[partition] > stable[partition] for partition in self._partitions)


def _consumer(settings: KafkaSettings, isolation: Isolation) -> KafkaConsumer:
    return create_consumer(settings.bootstrap_servers, isolation_level=isolation, auto_offset_reset="latest")
