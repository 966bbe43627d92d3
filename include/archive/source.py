"""`sessions.valid` as the archive reads it: committed records, from given offsets to the ends of now."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import OffsetSpec
from kafka.protocol.consumer.offsets import IsolationLevel

from include.clients.kafka import create_admin, create_consumer, translate_errors
from include.contracts.errors import TransientError
from include.contracts.settings import Settings

POLL_MS = 500
STALLED_S = 30.0
REQUEST_S = 15.0
REQUEST_MS = int(REQUEST_S * 1_000)
FETCH_BYTES = 8 * 1024 * 1024


class Described(NamedTuple):
    """A topic as its broker knows it; the id changes when the topic is made anew."""

    topic_id: str
    partitions: int


class Batch(NamedTuple):
    """Records of one write, and partition -> offset behind everything read so far, where that has moved."""

    records: list[Any]
    positions: dict[int, int]


class Bounds(NamedTuple):
    """Partition -> its oldest offset that still exists, and the offset behind its last committed record."""

    beginnings: dict[int, int]
    ends: dict[int, int]


def describe(settings: Settings, topic: str, timeout_s: float = REQUEST_S) -> Described:
    """Ask the broker. Raises TransientError while Kafka is away or the topic does not exist."""
    with translate_errors(f"describe {topic}", settings.kafka.bootstrap_servers), _admin(settings, timeout_s) as admin:
        result = admin.describe_topics([topic])[0]
    if result["error_code"] or not result["partitions"]:
        raise TransientError(f"topic {topic} does not exist", "./showroom up creates it")
    return Described(str(result["topic_id"]), len(result["partitions"]))


def bounds(settings: Settings, topic: str, partitions: int, timeout_s: float = REQUEST_S) -> Bounds:
    """Ask the broker where a topic begins and ends. Raises TransientError while Kafka is unavailable."""
    topic_partitions = [TopicPartition(topic, partition) for partition in range(partitions)]
    with translate_errors(f"bounds of {topic}", settings.kafka.bootstrap_servers), _admin(settings, timeout_s) as admin:
        oldest, latest = (
            admin.list_partition_offsets(dict.fromkeys(topic_partitions, spec), IsolationLevel.READ_COMMITTED)
            for spec in (OffsetSpec.EARLIEST, OffsetSpec.LATEST)
        )
    return Bounds(
        beginnings={topic_partition.partition: oldest[topic_partition].offset for topic_partition in topic_partitions},
        ends={topic_partition.partition: latest[topic_partition].offset for topic_partition in topic_partitions},
    )


class Source:
    """One reading of some partitions of a topic; a context manager, for one thread.

    All methods raise TransientError while Kafka is away.
    """

    def __init__(self, settings: Settings, topic: str, partitions: Iterable[int]) -> None:
        self._settings = settings
        self._topic = topic
        self._places = [TopicPartition(topic, partition) for partition in partitions]
        with translate_errors("connect", settings.kafka.bootstrap_servers):
            self._consumer = _consumer(settings)

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def ends(self) -> dict[int, int]:
        """Partition -> the offset behind its last committed record."""
        with translate_errors(f"ends of {self._topic}", self._settings.kafka.bootstrap_servers):
            result = self._consumer.end_offsets(self._places)
        return {topic_partition.partition: result[topic_partition] for topic_partition in self._places}

    def read(self, starts: Mapping[int, int], ends: Mapping[int, int]) -> Iterator[Batch]:
        """Batches in bounded memory until every partition has reached its end; the last may be without records."""
        with translate_errors(f"read {self._topic}", self._settings.kafka.bootstrap_servers):
            self._consumer.assign(self._places)
            for topic_partition in self._places:
                self._consumer.seek(topic_partition, starts[topic_partition.partition])
        at = dict(starts)
        moved_at = time.monotonic()
        while any(at[partition] < end for partition, end in ends.items()):
            with translate_errors(f"read {self._topic}", self._settings.kafka.bootstrap_servers):
                polled = self._consumer.poll(timeout_ms=POLL_MS, max_records=self._settings.archive.batch_size)
                now = {
                    topic_partition.partition: self._consumer.position(topic_partition)
                    for topic_partition in self._places
                }
            moved = {partition: offset for partition, offset in now.items() if offset > at[partition]}
            if moved:
                at |= moved
                yield Batch([record for records in polled.values() for record in records], moved)
                moved_at = time.monotonic()
            elif time.monotonic() - moved_at > STALLED_S:
                raise TransientError(
                    f"{self._topic} gave nothing for {STALLED_S:g} s", "see that Kafka runs: ./showroom status"
                )


def _admin(settings: Settings, timeout_s: float) -> KafkaAdminClient:
    limit_ms = int(timeout_s * 1_000)
    return create_admin(settings.kafka.bootstrap_servers, request_ms=limit_ms, bootstrap_ms=limit_ms)


def _consumer(settings: Settings) -> KafkaConsumer:
    return create_consumer(
        settings.kafka.bootstrap_servers,
        client_id="archive",
        # Never skip silently: an offset that is gone is an error here, and a recorded gap in the next run.
        auto_offset_reset="none",
        fetch_max_bytes=FETCH_BYTES,
        request_timeout_ms=REQUEST_MS,
    )
