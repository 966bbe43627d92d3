"""Read the newest dead letters, without a consumer group."""

from datetime import UTC, datetime

from kafka import KafkaConsumer, TopicPartition

from include.clients.kafka import create_consumer, translate_errors
from include.contracts.dead_letters import StoredDeadLetter, decode
from include.contracts.settings import KafkaSettings
from include.contracts.topics import DEAD

TIMEOUT_MS = 10_000
MAX_EMPTY_POLLS = 3
POLL_MS = 1_000


def newest_dead_letters(settings: KafkaSettings, limit: int) -> list[tuple[datetime, StoredDeadLetter]]:
    """Return the newest dead letters with their times of arrival, newest first; skip other records.

    Raises:
        TransientError: Kafka is unavailable.
    """
    partitions = [TopicPartition(DEAD, number) for number in range(settings.partitions)]
    servers = settings.bootstrap_servers
    with (
        translate_errors("read dead letters", servers),
        create_consumer(servers, bootstrap_timeout_ms=TIMEOUT_MS) as consumer,
    ):
        dead_letters = _read(consumer, partitions, limit)
    return sorted(dead_letters, key=lambda letter: letter[0], reverse=True)[:limit]


def _read(
    consumer: KafkaConsumer, partitions: list[TopicPartition], limit: int
) -> list[tuple[datetime, StoredDeadLetter]]:
    begins, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
    consumer.assign(partitions)
    for partition in partitions:
        consumer.seek(partition, max(begins[partition], ends[partition] - limit))
    dead_letters, empty_polls = [], 0
    while empty_polls < MAX_EMPTY_POLLS and any(consumer.position(one) < ends[one] for one in partitions):
        records = [record for batch in consumer.poll(timeout_ms=POLL_MS).values() for record in batch]
        empty_polls = 0 if records else empty_polls + 1
        for record in records:
            letter = decode(record.value)
            if letter is not None:
                timestamp = datetime.fromtimestamp(record.timestamp / 1_000, UTC)
                dead_letters.append((timestamp, StoredDeadLetter(record.partition, record.offset, letter)))
    return dead_letters
