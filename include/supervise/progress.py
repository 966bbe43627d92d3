"""How far Kafka's topics reach, and how far those who read them have come."""

from collections.abc import Mapping
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError
from kafka.protocol.consumer.offsets import IsolationLevel
from tenacity import wait_fixed

from include.clients.errors import with_retries
from include.clients.kafka import create_admin
from include.contracts import topics
from include.contracts.settings import Settings
from include.supervise.observation import Kafka
from include.supervise.visible import visible_records

REQUEST_S = 2.0
COORDINATOR_S = 1.0
COORDINATOR_POLL_S = 0.1
COMMITS = "__consumer_offsets"
"""The broker's own topic of committed offsets; it is made when a group is first asked for."""

Readers = Mapping[str, list[TopicPartition]]


def probe_kafka(settings: Settings) -> Kafka:
    """Ends of the topics and how far their readers are. Raises the client's own errors."""
    limit_ms = int(REQUEST_S * 1_000)
    with create_admin(settings.kafka_bootstrap, request_ms=limit_ms, bootstrap_ms=limit_ms) as admin:
        names = (topics.RAW, topics.VALID, topics.REJECTED, topics.DEAD)
        places = {name: [TopicPartition(name, number) for number in range(settings.partitions)] for name in names}
        every = [place for name in names for place in places[name]]
        ends = _offsets(admin, every, OffsetSpec.LATEST)
        begins = _offsets(admin, [*places[topics.RAW], *places[topics.VALID]], OffsetSpec.EARLIEST)
        readers = {topics.GATE_GROUP: places[topics.RAW], topics.STREAM_GROUP: places[topics.VALID]}
        reached = _reached(admin, readers)

    def starts(group: str) -> dict[TopicPartition, int]:
        return {place: max(begins[place], reached.get((group, place), 0)) for place in readers[group]}

    def end(topic: str) -> int:
        return sum(ends[place] for place in places[topic])

    read = starts(topics.STREAM_GROUP)
    return Kafka(
        raw_end=end(topics.RAW),
        gate_lag=sum(max(0, ends[place] - start) for place, start in starts(topics.GATE_GROUP).items()),
        valid_end=end(topics.VALID),
        stream_lag=sum(visible_records(settings, read, ends).values()),
        rejected_end=end(topics.REJECTED),
        dead_end=end(topics.DEAD),
        stream_read=sum(read.values()),
        valid_ends={place.partition: ends[place] for place in places[topics.VALID]},
    )


def _offsets(admin: KafkaAdminClient, places: list[TopicPartition], spec: Any) -> dict[TopicPartition, int]:
    answer = admin.list_partition_offsets(dict.fromkeys(places, spec), IsolationLevel.READ_COMMITTED)
    return {place: answer[place].offset for place in places}


def _reached(admin: KafkaAdminClient, readers: Readers) -> dict[tuple[str, TopicPartition], int]:
    """(group, partition) -> committed offset, of those that ever committed."""
    # On a new broker nobody has; to ask for a group would make the topic, and fail until its partitions have leaders.
    if COMMITS not in admin.list_topics():
        return {}
    found: dict[tuple[str, TopicPartition], int] = {}
    for group, places in readers.items():
        answer = _group_offsets(admin, group, places)
        found |= {(group, place): known.offset for place, known in answer.items() if known.offset >= 0}
    return found


def _group_offsets(admin: KafkaAdminClient, group: str, places: list[TopicPartition]) -> dict[TopicPartition, Any]:
    answer: dict[TopicPartition, Any] = with_retries(
        lambda: admin.list_group_offsets({group: places})[group],
        wait=wait_fixed(COORDINATOR_POLL_S),
        deadline_s=COORDINATOR_S,
        retry_on=(CoordinatorNotAvailableError, CoordinatorLoadInProgressError),
    )
    return answer
