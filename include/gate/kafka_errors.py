"""Classify Kafka errors for the gate: retry with new clients, or end because another process took over."""

from confluent_kafka import KafkaError, KafkaException

FENCED_CODES = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH})
"""A producer with a newer epoch exists, or the broker ended the transaction at its time limit."""
INSTANCE_FENCED_CODES = frozenset({KafkaError.FENCED_INSTANCE_ID})
"""Another consumer joined the group under the same `group.instance.id`."""
OFFSET_LOST_CODES = frozenset(
    {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._LOG_TRUNCATION}
)
"""The position of a partition no longer exists in its log."""
OVERSIZE_CODES = frozenset({KafkaError.MSG_SIZE_TOO_LARGE})
CONNECTION_LOST_CODES = frozenset({KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN})


def code_of(error: BaseException) -> int | None:
    """Return librdkafka's error code of an exception; None for other exceptions."""
    if isinstance(error, KafkaException) and error.args and isinstance(error.args[0], KafkaError):
        return int(error.args[0].code())
    return None


def is_fenced(error: BaseException, transaction_age_s: float, transaction_timeout_s: float) -> bool:
    """Return whether a newer producer or consumer with the same index caused the error.

    The broker returns the same code for a transaction older than its time limit; that one is retried.
    """
    code = code_of(error)
    if code in INSTANCE_FENCED_CODES:
        return True
    return code in FENCED_CODES and transaction_age_s < transaction_timeout_s
