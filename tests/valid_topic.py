"""Records of `sessions.valid` that tests produce instead of the gate."""

import uuid
from collections.abc import Sequence

from kafka import KafkaProducer

from include.contracts.session import ValidSession
from include.contracts.settings import Settings
from include.contracts.topics import VALID
from tests.valid_sessions import encoded, valid_session


def sessions(number: int) -> list[ValidSession]:
    """Return that many sessions with unique ids."""
    run = uuid.uuid4().hex[:12]
    return [valid_session(session_id=f"s-{run}-{location:06d}") for location in range(number)]


def put(settings: Settings, sessions: Sequence[ValidSession | bytes | None], *, commit: bool = True) -> None:
    """Produce sessions or values as one transaction over all partitions; aborted unless `commit`."""
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers, transactional_id=f"test-{uuid.uuid4().hex}", linger_ms=5
    )
    try:
        producer.init_transactions()
        producer.begin_transaction()
        for topic_partition, entry in enumerate(sessions):
            value = encoded(entry) if isinstance(entry, ValidSession) else entry
            producer.send(VALID, key=b"user", value=value, partition=topic_partition % settings.kafka.partitions)
        producer.flush()
        if commit:
            producer.commit_transaction()
        else:
            producer.abort_transaction()
    finally:
        producer.close(timeout=5)
