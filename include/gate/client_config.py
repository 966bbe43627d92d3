"""librdkafka settings that the gate's clients share."""

import logging
from typing import Any

from confluent_kafka import KafkaError

log = logging.getLogger("include.gate.kafka")

RECONNECT_MAX_MS = 1_000
SOCKET_TIMEOUT_MS = 10_000

Config = dict[str, Any]


def connection(bootstrap: str, client_id: str) -> Config:
    """Return what every client needs: addresses, a name, and reconnects within a second."""
    return {
        "bootstrap.servers": bootstrap,
        "client.id": client_id,
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": RECONNECT_MAX_MS,
        "socket.timeout.ms": SOCKET_TIMEOUT_MS,
        "socket.keepalive.enable": True,
        "allow.auto.create.topics": False,
        "logger": log,
    }


def ignore_error(error: KafkaError) -> None:
    """Error callback of clients whose calls report their own errors."""
    log.debug("kafka client: %s", error)
