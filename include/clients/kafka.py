"""Create kafka-python's clients and translate their errors.

The gate's clients are confluent-kafka's and are created in include/gate.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from include.clients.errors import CHECK_STATUS, unavailable
from include.contracts.errors import TransientError
from include.contracts.topics import MAX_MESSAGE_BYTES

ERRORS = (KafkaError, OSError)
"""Errors of the client; it does not wrap errors of its socket."""


def create_consumer(
    bootstrap: str,
    *,
    group: str | None = None,
    isolation_level: str = "read_committed",
    auto_offset_reset: str = "earliest",
    max_partition_fetch_bytes: int = MAX_MESSAGE_BYTES,
    **config: Any,
) -> KafkaConsumer:
    """Connect a consumer that does not commit automatically and creates no topic.

    Args:
        bootstrap: Brokers, separated by commas.
        group: Group id; None for a consumer without a group.
        isolation_level: `read_committed` or `read_uncommitted`.
        auto_offset_reset: Where to read without a valid offset: `earliest`, `latest` or `none`, an error.
        max_partition_fetch_bytes: Limit of the bytes of one partition in one response.
        config: Further options of KafkaConsumer; limits of time above all.
    """
    return KafkaConsumer(
        bootstrap_servers=bootstrap.split(","),
        group_id=group,
        isolation_level=isolation_level,
        enable_auto_commit=False,
        auto_offset_reset=auto_offset_reset,
        allow_auto_create_topics=False,
        max_partition_fetch_bytes=max_partition_fetch_bytes,
        metrics_enabled=False,
        **config,
    )


def create_producer(bootstrap: str, **config: Any) -> KafkaProducer:
    """Connect a producer for records up to the platform's limit, with further options of KafkaProducer."""
    return KafkaProducer(
        bootstrap_servers=bootstrap.split(","), max_request_size=MAX_MESSAGE_BYTES, metrics_enabled=False, **config
    )


def create_admin(bootstrap: str, *, request_ms: int, bootstrap_ms: int | None = None) -> KafkaAdminClient:
    """Connect an admin client.

    Args:
        bootstrap: Brokers, separated by commas.
        request_ms: Limit of each request.
        bootstrap_ms: Limit of the first connection; None for the client's own.
    """
    limits: dict[str, Any] = {} if bootstrap_ms is None else {"bootstrap_timeout_ms": bootstrap_ms}
    return KafkaAdminClient(bootstrap_servers=bootstrap.split(","), request_timeout_ms=request_ms, **limits)


@contextmanager
def translate_errors(operation: str, bootstrap: str, action: str = CHECK_STATUS) -> Iterator[None]:
    """Raise the client's errors as TransientError."""
    try:
        yield
    except ERRORS as error:
        raise_translated(error, operation, bootstrap, action)


def raise_translated(
    error: KafkaError | OSError, operation: str, bootstrap: str, action: str = CHECK_STATUS
) -> NoReturn:
    """Raise an error of the client as TransientError."""
    if isinstance(error, OffsetOutOfRangeError | NoOffsetForPartitionError):
        raise TransientError(
            f"{operation} failed: records expired while they were read",
            "run it again: it records the expired offsets and continues",
        ) from error
    raise unavailable(operation, f"Kafka at {bootstrap}", error, action) from error
