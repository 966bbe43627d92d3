"""A backlog of valid sessions, appended to sessions.raw at full speed.

Ids, users and networks are unique, so that the gate rejects no session.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from confluent_kafka import Producer

from include.contracts import topics
from include.contracts.errors import NotReadyError
from include.contracts.settings import Settings
from include.ingest.generator import synthesize
from include.ingest.labelled_record import VALID
from include.ingest.plan import Plan

TEMPLATES = 500
FLUSH_TIMEOUT_S = 60.0


class Backlog:
    """Sessions copied from templates of the synthetic shop."""

    def __init__(self, settings: Settings, seed: int) -> None:
        now = datetime.now(UTC)
        plan = Plan.of(settings, seed=seed, start=now - timedelta(hours=6), end=now, sessions=TEMPLATES)
        self._templates: list[dict[str, Any]] = [
            msgspec.json.decode(labelled.value) for labelled in synthesize(plan) if labelled.verdict == VALID
        ]
        self._settings = settings
        self.sessions = 0

    def append(self, sessions: int) -> None:
        """Append sessions, spread over the partitions.

        Raises:
            NotReadyError: Kafka did not acknowledge all of them.
        """
        producer = Producer(
            {"bootstrap.servers": self._settings.kafka.bootstrap_servers, "linger.ms": 20, "acks": "all"}
        )
        encode = msgspec.json.encode
        for number in range(self.sessions, self.sessions + sessions):
            record = self._templates[number % len(self._templates)]
            record["session_id"], record["user_id"] = f"s-{number}", f"u-{number}"
            record["ip"] = _build_ip(number)
            key, partition = record["user_id"].encode(), number % self._settings.kafka.partitions
            try:
                producer.produce(topics.RAW, encode(record), key, partition)
            except BufferError:
                producer.flush(FLUSH_TIMEOUT_S)
                producer.produce(topics.RAW, encode(record), key, partition)
        if producer.flush(FLUSH_TIMEOUT_S):
            raise NotReadyError("append to sessions.raw failed: not acknowledged", "see Kafka's log")
        self.sessions += sessions


def _build_ip(number: int) -> str:
    """Return an address in a different /24 network for each number, up to 7 million."""
    return f"{11 + number // 65_536}.{number // 256 % 256}.{number % 256}.1"
