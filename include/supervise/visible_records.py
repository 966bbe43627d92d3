"""Count the records between two offsets of a transactional topic.

Markers and the records of aborted transactions take offsets, so a difference of offsets is not a number of records.
A short read shows whether there is any record.
"""

import time
from collections.abc import Mapping

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from include.clients.kafka import create_consumer
from include.contracts.settings import KafkaSettings
from include.supervise.observation import records_between

Offsets = Mapping[TopicPartition, int]

MAX_SCAN_OFFSETS = 10_000
"""A longer range certainly contains records, and its few markers do not matter."""
SCAN_TIMEOUT_S = 0.8
POLL_MS = 100
FETCH_BYTES = 64 * 1024


def visible_records(settings: KafkaSettings, starts: Offsets, ends: Offsets) -> dict[TopicPartition, int]:
    """Count the committed records from each start to each end.

    The count is exact for few offsets; otherwise it includes the markers of transactions.

    Args:
        settings: Kafka's address.
        starts: next offset to read, by partition.
        ends: committed end, of the same partitions and maybe others.

    Returns:
        Partition -> records.
    """
    waiting = {
        topic_partition: records_between(start, ends[topic_partition]) for topic_partition, start in starts.items()
    }
    doubtful = {topic_partition: starts[topic_partition] for topic_partition, records in waiting.items() if records}
    if not doubtful or sum(waiting.values()) > MAX_SCAN_OFFSETS:
        return waiting
    try:
        return waiting | _scan(settings, doubtful, ends)
    except (KafkaError, OSError):
        return waiting


def _scan(settings: KafkaSettings, starts: Offsets, ends: Offsets) -> dict[TopicPartition, int]:
    """Read each partition to its first records or its end; omit partitions that reach neither in time."""
    counted: dict[TopicPartition, int] = {}
    deadline = time.monotonic() + SCAN_TIMEOUT_S
    consumer = _consumer(settings)
    try:
        consumer.assign(list(starts))
        for topic_partition, start in starts.items():
            consumer.seek(topic_partition, start)
        while len(counted) < len(starts) and time.monotonic() < deadline:
            polled = consumer.poll(timeout_ms=POLL_MS)
            for topic_partition in starts:
                records = [
                    record for record in polled.get(topic_partition, ()) if record.offset < ends[topic_partition]
                ]
                position = consumer.position(topic_partition)
                if topic_partition not in counted and (records or position >= ends[topic_partition]):
                    counted[topic_partition] = len(records) + records_between(position, ends[topic_partition])
    finally:
        consumer.close()
    return counted


def _consumer(settings: KafkaSettings) -> KafkaConsumer:
    return create_consumer(
        settings.bootstrap_servers,
        max_partition_fetch_bytes=FETCH_BYTES,
        bootstrap_timeout_ms=int(SCAN_TIMEOUT_S * 1_000),
    )
