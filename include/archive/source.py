"""Read committed records of a topic from given offsets to the current ends."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import OffsetSpec
from kafka.protocol.consumer.offsets import IsolationLevel

from include.clients.kafka import create_admin, create_consumer, translate_errors
from include.contracts.errors import TransientError
from include.contracts.settings import KafkaSettings, Settings

POLL_MS = 500
STALL_TIMEOUT_S = 30.0
REQUEST_S = 15.0
REQUEST_MS = int(REQUEST_S * 1_000)
FETCH_BYTES = 8 * 1024 * 1024


class TopicInfo(NamedTuple):
    """A topic's metadata; the id changes when the topic is recreated."""

    topic_id: str
    partitions: int


class Batch(NamedTuple):
    """Records to write together, and partition -> next offset for the partitions that advanced."""

    records: list[Any]
    positions: dict[int, int]


class Bounds(NamedTuple):
    """Partition -> oldest existing offset, and partition -> offset after the last committed record."""

    beginnings: dict[int, int]
    ends: dict[int, int]


def describe(settings: KafkaSettings, topic: str, timeout_s: float = REQUEST_S) -> TopicInfo:
    """Return a topic's metadata. Raises TransientError if Kafka is unavailable or the topic does not exist."""
    with (
        translate_errors(f"describe {topic}", settings.bootstrap_servers),
        _admin(settings, timeout_s) as admin,
    ):
        result = admin.describe_topics([topic])[0]
    if result["error_code"] or not result["partitions"]:
        raise TransientError(f"topic {topic} does not exist", "./showroom up creates it")
    return TopicInfo(str(result["topic_id"]), len(result["partitions"]))


def bounds(settings: KafkaSettings, topic: str, partitions: int, timeout_s: float = REQUEST_S) -> Bounds:
    """Return the first and the end offsets of a topic. Raises TransientError if Kafka is unavailable."""
    topic_partitions = [TopicPartition(topic, partition) for partition in range(partitions)]
    with (
        translate_errors(f"bounds of {topic}", settings.bootstrap_servers),
        _admin(settings, timeout_s) as admin,
    ):
        oldest, latest = (
            admin.list_partition_offsets(dict.fromkeys(topic_partitions, spec), IsolationLevel.READ_COMMITTED)
            for spec in (OffsetSpec.EARLIEST, OffsetSpec.LATEST)
        )
    return Bounds(
        beginnings={topic_partition.partition: oldest[topic_partition].offset for topic_partition in topic_partitions},
        ends={topic_partition.partition: latest[topic_partition].offset for topic_partition in topic_partitions},
    )


class Source:
    """Reader of some partitions of a topic; a context manager, not thread-safe.

    All methods raise TransientError if Kafka is unavailable.
    """

    def __init__(self, settings: Settings, topic: str, partitions: Iterable[int]) -> None:
        self._settings = settings
        self._topic = topic
        self._topic_partitions = [TopicPartition(topic, partition) for partition in partitions]
        with translate_errors("connect", settings.kafka.bootstrap_servers):
            self._consumer = _consumer(settings.kafka)

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def ends(self) -> dict[int, int]:
        """Return partition -> offset after its last committed record."""
        with translate_errors(f"ends of {self._topic}", self._settings.kafka.bootstrap_servers):
            result = self._consumer.end_offsets(self._topic_partitions)
        return {topic_partition.partition: result[topic_partition] for topic_partition in self._topic_partitions}

    def read(self, starts: Mapping[int, int], ends: Mapping[int, int]) -> Iterator[Batch]:
        """Yield batches in bounded memory until every partition reaches its end; the last may have no records."""
        with translate_errors(f"read {self._topic}", self._settings.kafka.bootstrap_servers):
            self._consumer.assign(self._topic_partitions)
            for topic_partition in self._topic_partitions:
                self._consumer.seek(topic_partition, starts[topic_partition.partition])
        positions = dict(starts)
        advanced_at = time.monotonic()
        while any(positions[partition] < end for partition, end in ends.items()):
            with translate_errors(f"read {self._topic}", self._settings.kafka.bootstrap_servers):
                polled = self._consumer.poll(timeout_ms=POLL_MS, max_records=self._settings.archive.batch_size)
                current = {
                    topic_partition.partition: self._consumer.position(topic_partition)
                    for topic_partition in self._topic_partitions
                }
            advanced = {partition: offset for partition, offset in current.items() if offset > positions[partition]}
            if advanced:
                positions |= advanced
                yield Batch([record for records in polled.values() for record in records], advanced)
                advanced_at = time.monotonic()
            elif time.monotonic() - advanced_at > STALL_TIMEOUT_S:
                raise TransientError(
                    f"{self._topic} returned nothing for {STALL_TIMEOUT_S:g} s", "check Kafka with ./showroom status"
                )


def _admin(settings: KafkaSettings, timeout_s: float) -> KafkaAdminClient:
    limit_ms = int(timeout_s * 1_000)
    return create_admin(settings.bootstrap_servers, request_ms=limit_ms, bootstrap_ms=limit_ms)


def _consumer(settings: KafkaSettings) -> KafkaConsumer:
    return create_consumer(
        settings.bootstrap_servers,
        client_id="archive",
        # Never skip silently: an offset that is gone is an error here, and a recorded gap in the next run.
        auto_offset_reset="none",
        fetch_max_bytes=FETCH_BYTES,
        request_timeout_ms=REQUEST_MS,
    )
