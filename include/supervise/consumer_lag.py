"""End offsets of Kafka's topics, and the lag of their consumer groups."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError
from kafka.protocol.consumer.offsets import IsolationLevel
from tenacity import wait_fixed

from include.clients.errors import with_retries
from include.clients.kafka import create_admin, translate_errors
from include.contracts import topics
from include.contracts.settings import KafkaSettings
from include.supervise.observation import KafkaState
from include.supervise.visible_records import visible_records

REQUEST_TIMEOUT_S = 2.0
COORDINATOR_TIMEOUT_S = 1.0
COORDINATOR_POLL_INTERVAL_S = 0.1
COMMITS = "__consumer_offsets"
"""The broker's topic of committed offsets; it is created with the first group."""

Readers = Mapping[str, list[TopicPartition]]


def probe_kafka(settings: KafkaSettings) -> KafkaState:
    """Return the ends of the topics and the lags of their groups. Raises the client's errors."""
    limit_ms = int(REQUEST_TIMEOUT_S * 1_000)
    with create_admin(settings.bootstrap_servers, request_ms=limit_ms, bootstrap_ms=limit_ms) as admin:
        names = (topics.RAW, topics.VALID, topics.REJECTED, topics.DEAD)
        topic_partitions = {
            name: [TopicPartition(name, number) for number in range(settings.partitions)] for name in names
        }
        all_partitions = [topic_partition for name in names for topic_partition in topic_partitions[name]]
        ends = _offsets(admin, all_partitions, OffsetSpec.LATEST)
        begins = _offsets(admin, [*topic_partitions[topics.RAW], *topic_partitions[topics.VALID]], OffsetSpec.EARLIEST)
        readers = {topics.GATE_GROUP: topic_partitions[topics.RAW], topics.STREAM_GROUP: topic_partitions[topics.VALID]}
        committed = _committed(admin, readers)

    def starts(group: str) -> dict[TopicPartition, int]:
        return {
            topic_partition: max(begins[topic_partition], committed.get((group, topic_partition), 0))
            for topic_partition in readers[group]
        }

    def end(topic: str) -> int:
        return sum(ends[topic_partition] for topic_partition in topic_partitions[topic])

    read = starts(topics.STREAM_GROUP)
    return KafkaState(
        raw_end=end(topics.RAW),
        gate_lag=sum(
            max(0, ends[topic_partition] - start) for topic_partition, start in starts(topics.GATE_GROUP).items()
        ),
        valid_end=end(topics.VALID),
        stream_lag=sum(visible_records(settings, read, ends).values()),
        rejected_end=end(topics.REJECTED),
        dead_end=end(topics.DEAD),
        stream_read=sum(read.values()),
        valid_ends={
            topic_partition.partition: ends[topic_partition] for topic_partition in topic_partitions[topics.VALID]
        },
    )


class GroupOffset(NamedTuple):
    """How far a consumer group has read one partition.

    Attributes:
        partition: Number of the partition.
        committed: Next offset to read; None before the group's first commit.
        end: Offset after the newest committed record.
    """

    partition: int
    committed: int | None
    end: int


def group_offsets(settings: KafkaSettings, group: str, topic: str) -> list[GroupOffset]:
    """Return the offsets of a group for all partitions of a topic. Raises TransientError without Kafka."""
    limit_ms = int(REQUEST_TIMEOUT_S * 1_000)
    topic_partitions = [TopicPartition(topic, number) for number in range(settings.partitions)]
    servers = settings.bootstrap_servers
    with (
        translate_errors("read offsets", servers),
        create_admin(servers, request_ms=limit_ms, bootstrap_ms=limit_ms) as admin,
    ):
        ends = _offsets(admin, topic_partitions, OffsetSpec.LATEST)
        committed = _committed(admin, {group: topic_partitions})
    return [
        GroupOffset(topic_partition.partition, committed.get((group, topic_partition)), ends[topic_partition])
        for topic_partition in topic_partitions
    ]


def _offsets(admin: KafkaAdminClient, topic_partitions: list[TopicPartition], spec: Any) -> dict[TopicPartition, int]:
    offsets = admin.list_partition_offsets(dict.fromkeys(topic_partitions, spec), IsolationLevel.READ_COMMITTED)
    return {topic_partition: offsets[topic_partition].offset for topic_partition in topic_partitions}


def _committed(admin: KafkaAdminClient, readers: Readers) -> dict[tuple[str, TopicPartition], int]:
    """Return (group, partition) -> committed offset, without partitions that have none."""
    # On a new broker a request for a group would create the topic, and fail until its partitions have leaders.
    if COMMITS not in admin.list_topics():
        return {}
    offsets: dict[tuple[str, TopicPartition], int] = {}
    for group, topic_partitions in readers.items():
        response = _group_offsets(admin, group, topic_partitions)
        offsets |= {
            (group, topic_partition): committed.offset
            for topic_partition, committed in response.items()
            if committed.offset >= 0
        }
    return offsets


def _group_offsets(
    admin: KafkaAdminClient, group: str, topic_partitions: list[TopicPartition]
) -> dict[TopicPartition, Any]:
    offsets: dict[TopicPartition, Any] = with_retries(
        lambda: admin.list_group_offsets({group: topic_partitions})[group],
        wait=wait_fixed(COORDINATOR_POLL_INTERVAL_S),
        deadline_s=COORDINATOR_TIMEOUT_S,
        retry_on=(CoordinatorNotAvailableError, CoordinatorLoadInProgressError),
    )
    return offsets
