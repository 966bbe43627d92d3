"""Progress of the gate while Kafka fails and restarts."""

import time
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaException, TopicPartition

from include.contracts import topics
from include.contracts.settings import KafkaSettings

REQUEST_TIMEOUT_S = 2.0
POLL_INTERVAL_S = 0.05


class Progress:
    """Sum of the gate's committed offsets, without open transactions; -1 while Kafka does not respond."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._partitions = [TopicPartition(topics.RAW, number) for number in range(settings.partitions)]
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "group.id": topics.GATE_GROUP,
                "enable.auto.commit": False,
                # Because with read_committed the response waits for the end of a transaction in doubt.
                "isolation.level": "read_uncommitted",
                "reconnect.backoff.max.ms": 200,
                "log_level": 0,
            }
        )

    def __call__(self) -> int:
        """Return the sum, or -1 without a response."""
        try:
            committed = self._consumer.committed(self._partitions, timeout=REQUEST_TIMEOUT_S)
        except KafkaException:
            return -1
        # -1 instead of 0 for the partition, because its next offset would look like a commit.
        if any(topic_partition.error is not None for topic_partition in committed):
            return -1
        return sum(max(0, topic_partition.offset) for topic_partition in committed)

    def wait(self, condition: Callable[[int], bool], timeout_s: float) -> float | None:
        """Wait until the sum satisfies a condition.

        Returns:
            Seconds until then, or None after the timeout.
        """
        began = time.monotonic()
        while time.monotonic() - began < timeout_s:
            if condition(self()):
                return time.monotonic() - began
            time.sleep(POLL_INTERVAL_S)
        return None

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()
