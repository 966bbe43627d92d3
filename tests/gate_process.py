"""Gate processes of single tests, and access to their topics, on the shared stack's Kafka and Redis."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Producer
from kafka import KafkaConsumer, TopicPartition

from include.contracts import topics
from include.contracts.settings import Settings
from local.project import ROOT


@contextmanager
def gate(settings: Settings, index: int = 7) -> Iterator["subprocess.Popen[str]"]:
    """Yield a gate process and kill it at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "include.gate", "--index", str(index)],
        cwd=ROOT,
        env=os.environ | settings.to_env() | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        if process.stderr is not None and not process.stderr.closed:
            print(process.communicate()[1])  # noqa: T201 - pytest shows it where the test fails


def produce(
    settings: Settings,
    values: Iterable[bytes],
    partition: int = 0,
    key: bytes | None = None,
    *,
    headers: list[tuple[str, str | bytes | None]] | None = None,
    timestamp: int = 0,
    config: dict[str, Any] | None = None,
) -> None:
    """Append to sessions.raw with librdkafka, which supports all four codecs. The default key is the user id."""
    defaults = {"message.max.bytes": 50_000_000, "bootstrap.servers": settings.kafka.bootstrap_servers}
    failures: list[Any] = []
    producer = Producer(defaults | (config or {}))

    def record_failure(error: Any, _: Any) -> None:
        if error:
            failures.append(error)

    for value in values:
        name = user_of(value) if key is None else key
        producer.produce(
            topics.RAW, value, name, partition, on_delivery=record_failure, headers=headers, timestamp=timestamp
        )
    assert producer.flush(30) == 0
    assert failures == []


def user_of(value: bytes) -> bytes:
    """Return the user id of a session, or a constant for invalid JSON."""
    try:
        return str(json.loads(value)["user_id"]).encode()
    except (ValueError, KeyError, TypeError):
        return b"u"


class Reader:
    """Reader of the gate's committed output records since its creation."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        with self._consumer() as consumer:
            self._since = consumer.end_offsets(self._partitions())

    def records(self, topic: str) -> list[Any]:
        """Return all records up to the topic's current end."""
        with self._consumer() as consumer:
            partitions = [topic_partition for topic_partition in self._partitions() if topic_partition.topic == topic]
            consumer.assign(partitions)
            ends = consumer.end_offsets(partitions)
            for topic_partition in partitions:
                consumer.seek(topic_partition, min(self._since[topic_partition], ends[topic_partition]))
            results: list[Any] = []
            until = time.monotonic() + 30
            while any(consumer.position(topic_partition) < ends[topic_partition] for topic_partition in partitions):
                assert time.monotonic() < until
                for records in consumer.poll(timeout_ms=200).values():
                    results += records
            return results

    def valid_ids(self) -> list[str]:
        """Return the session ids of the valid records."""
        return [json.loads(record.value)["session_id"] for record in self.records(topics.VALID)]

    def rejected(self) -> list[tuple[str, dict[str, str]]]:
        """Return reason and headers of each rejected record."""
        headers = [{name: value.decode() for name, value in record.headers} for record in self.records(topics.REJECTED)]
        return [(decoded["reason"], decoded) for decoded in headers]

    def _partitions(self) -> list[TopicPartition]:
        names = (topics.VALID, topics.REJECTED)
        return [TopicPartition(name, number) for name in names for number in range(self._settings.kafka.partitions)]

    def _consumer(self) -> KafkaConsumer:
        return KafkaConsumer(
            bootstrap_servers=self._settings.kafka.bootstrap_servers,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=topics.MAX_MESSAGE_BYTES,
            metrics_enabled=False,
        )
