"""How many records wait between two offsets of a transactional topic.

Markers of transactions take offsets, and so do the records of aborted transactions: a difference of offsets is no
number of records. A short read tells whether any record is there at all.
"""

import time
from collections.abc import Mapping

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from include.clients.kafka import create_consumer
from include.contracts.settings import Settings
from include.supervise.observation import records_between

Offsets = Mapping[TopicPartition, int]

MAX_SCAN_OFFSETS = 10_000
"""Where more offsets wait, records do wait, and the few markers among them do not matter."""
SCAN_TIMEOUT_S = 0.8
POLL_MS = 100
FETCH_BYTES = 64 * 1024


def visible_records(settings: Settings, starts: Offsets, ends: Offsets) -> dict[TopicPartition, int]:
    """Count the committed records from each start to each end.

    Exact where few wait, above all where none does; else at most the markers of transactions too many.

    Args:
        settings: Kafka's address.
        starts: next offset to read, by partition.
        ends: committed end, of the same partitions and maybe others.

    Returns:
        Partition -> records.
    """
    waiting = {place: records_between(start, ends[place]) for place, start in starts.items()}
    doubtful = {place: starts[place] for place, records in waiting.items() if records}
    if not doubtful or sum(waiting.values()) > MAX_SCAN_OFFSETS:
        return waiting
    try:
        return waiting | _scan(settings, doubtful, ends)
    except (KafkaError, OSError):
        return waiting


def _scan(settings: Settings, starts: Offsets, ends: Offsets) -> dict[TopicPartition, int]:
    """Read until each partition has shown a record or come to its end; leaves out those that did neither in time."""
    counted: dict[TopicPartition, int] = {}
    deadline = time.monotonic() + SCAN_TIMEOUT_S
    consumer = _consumer(settings)
    try:
        consumer.assign(list(starts))
        for place, start in starts.items():
            consumer.seek(place, start)
        while len(counted) < len(starts) and time.monotonic() < deadline:
            polled = consumer.poll(timeout_ms=POLL_MS)
            for place in starts:
                records = [record for record in polled.get(place, ()) if record.offset < ends[place]]
                position = consumer.position(place)
                if place not in counted and (records or position >= ends[place]):
                    counted[place] = len(records) + records_between(position, ends[place])
    finally:
        consumer.close()
    return counted


def _consumer(settings: Settings) -> KafkaConsumer:
    return create_consumer(
        settings.kafka_bootstrap,
        max_partition_fetch_bytes=FETCH_BYTES,
        bootstrap_timeout_ms=int(SCAN_TIMEOUT_S * 1_000),
    )
