"""What a Kafka error means for the gate: retry with new clients, or end because another process took over."""

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


def is_fenced(error: BaseException) -> bool:
    """Return whether a newer producer or consumer of the same name exists, or the transaction reached its limit.

    The newer one may be this process's own: a request of a discarded client that reached the broker late.
    """
    return code_of(error) in FENCED_CODES | INSTANCE_FENCED_CODES
