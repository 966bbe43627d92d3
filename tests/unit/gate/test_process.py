"""Which server the gate waits for after an error; those of Redis are in tests/unit/clients/test_redis.py."""

from confluent_kafka import KafkaError, KafkaException

from include.gate.process import unavailable_server


def test_unavailable_server_of_kafka_errors_is_kafka() -> None:
    assert unavailable_server(KafkaException(KafkaError(KafkaError._TRANSPORT))) == "kafka"
    assert unavailable_server(OSError("no route")) == "kafka"
