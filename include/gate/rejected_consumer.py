"""The consumer that reads `sessions.rejected` for the search (include/gate/rejected.py)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from confluent_kafka import Consumer, TopicPartition

from include.clients.confluent_kafka import create_consumer
from include.contracts import topics
from include.contracts.errors import TransientError
from include.contracts.settings import KafkaSettings

REQUEST_TIMEOUT_S = 2.0
QUEUE_KBYTES = 32 * 1024


def read_bounds(consumer: Consumer, since: datetime | None) -> dict[int, tuple[int, int]]:
    """Return partition -> first and end offset. Raises TransientError if the topic does not exist."""
    about = consumer.list_topics(topics.REJECTED, timeout=REQUEST_TIMEOUT_S).topics[topics.REJECTED]
    if about.error is not None or not about.partitions:
        raise TransientError(
            f"search of {topics.REJECTED} failed: the topic does not exist", "run ./showroom up, which creates it"
        )
    topic_partitions = [TopicPartition(topics.REJECTED, number) for number in about.partitions]
    bounds = {
        topic_partition.partition: consumer.get_watermark_offsets(topic_partition, timeout=REQUEST_TIMEOUT_S)
        for topic_partition in topic_partitions
    }
    if since is not None:
        moment = int(since.timestamp() * 1_000)
        requests = [TopicPartition(topics.REJECTED, number, moment) for number in bounds]
        for topic_partition in consumer.offsets_for_times(requests, timeout=REQUEST_TIMEOUT_S):
            start, end = bounds[topic_partition.partition]
            # Negative: no record is that new.
            bounds[topic_partition.partition] = (
                max(start, topic_partition.offset) if topic_partition.offset >= 0 else end,
                end,
            )
    return bounds


@contextmanager
def open_consumer(settings: KafkaSettings) -> Iterator[Consumer]:
    """Return a consumer that belongs to no group and commits nothing."""
    consumer = create_consumer(
        settings.bootstrap_servers,
        "rejected",
        {
            # The client requires a group id; nothing joins this group and nothing is committed.
            "group.id": "rejected",
            "enable.partition.eof": True,
            # A record may expire during the search; continue with the next existing record.
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
            "queued.max.messages.kbytes": QUEUE_KBYTES,
            "socket.connection.setup.timeout.ms": int(REQUEST_TIMEOUT_S * 1_000),
            # Otherwise the client would write to standard error.
            "log_level": 0,
        },
    )
    try:
        yield consumer
    finally:
        consumer.close()
