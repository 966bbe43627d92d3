"""How far the gate has come while Kafka comes and goes."""

import time
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaException, TopicPartition

from include.contracts import topics
from include.contracts.settings import Settings

REQUEST_S = 2.0
POLL_S = 0.05


class Progress:
    """Committed offsets of the gate, summed, without those of open transactions; -1 while Kafka does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._partitions = [TopicPartition(topics.RAW, number) for number in range(settings.kafka.partitions)]
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.kafka.bootstrap_servers,
                "group.id": topics.GATE_GROUP,
                "enable.auto.commit": False,
                # Else the answer waits for the end of a transaction in doubt, and the gate's next commits with it.
                "isolation.level": "read_uncommitted",
                "reconnect.backoff.max.ms": 200,
                "log_level": 0,
            }
        )

    def __call__(self) -> int:
        """The sum now."""
        try:
            committed = self._consumer.committed(self._partitions, timeout=REQUEST_S)
        except KafkaException:
            return -1
        # A partition without an answer is not 0: its return would look like a commit.
        if any(topic_partition.error is not None for topic_partition in committed):
            return -1
        return sum(max(0, topic_partition.offset) for topic_partition in committed)

    def wait(self, reached: Callable[[int], bool], limit_s: float) -> float | None:
        """Seconds until the sum satisfies a condition; None where it does not in time."""
        began = time.monotonic()
        while time.monotonic() - began < limit_s:
            if reached(self()):
                return time.monotonic() - began
            time.sleep(POLL_S)
        return None

    def close(self) -> None:
        """Give the connection back."""
        self._consumer.close()
