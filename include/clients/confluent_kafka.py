"""Create confluent-kafka's clients and translate their errors. The gate uses them for its transactions."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from include.clients.errors import CHECK_STATUS, unavailable
from include.contracts.topics import MAX_MESSAGE_BYTES

log = logging.getLogger(__name__)

RECONNECT_MAX_MS = 1_000
SOCKET_TIMEOUT_MS = 10_000

Config = dict[str, Any]


def create_consumer(bootstrap: str, client_id: str, config: Mapping[str, Any]) -> Consumer:
    """Connect a consumer of committed records that does not commit automatically and creates no topic.

    Args:
        bootstrap: Brokers, separated by commas.
        client_id: Name in the broker's log.
        config: Further options of librdkafka; the group's id at least.
    """
    return Consumer(
        connection_config(bootstrap, client_id)
        | {"isolation.level": "read_committed", "enable.auto.commit": False, "enable.auto.offset.store": False}
        | dict(config)
    )


def create_producer(bootstrap: str, client_id: str, config: Mapping[str, Any]) -> Producer:
    """Connect a producer of records up to the platform's limit that waits for all replicas.

    Args:
        bootstrap: Brokers, separated by commas.
        client_id: Name in the broker's log.
        config: Further options of librdkafka.
    """
    return Producer(
        connection_config(bootstrap, client_id) | {"acks": "all", "message.max.bytes": MAX_MESSAGE_BYTES} | dict(config)
    )


def create_admin(bootstrap: str, client_id: str) -> AdminClient:
    """Connect an admin client."""
    return AdminClient(connection_config(bootstrap, client_id))


def connection_config(bootstrap: str, client_id: str) -> Config:
    """Return the options of every client: addresses, a name, and reconnects within a second."""
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


@contextmanager
def translate_errors(operation: str, bootstrap: str, action: str = CHECK_STATUS) -> Iterator[None]:
    """Raise the client's errors as TransientError."""
    try:
        yield
    except KafkaException as error:
        cause = error.args[0] if error.args else error
        reason = cause.str() if isinstance(cause, KafkaError) else str(cause)
        raise unavailable(operation, f"Kafka at {bootstrap}", reason, action) from error
