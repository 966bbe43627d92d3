"""Which answers of Redis a gate waits for."""

import pytest
from confluent_kafka import KafkaError, KafkaException
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    ExecAbortError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from include.gate.process import unavailable_server
from include.gate.redis_errors import is_redis_unavailable


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("refused"),
        TimeoutError("no answer"),
        BusyLoadingError("loading"),
        OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        ReadOnlyError("You can't write against a read only replica."),
        ClusterDownError("CLUSTERDOWN The cluster is down"),
        TryAgainError("TRYAGAIN Multiple keys request during rehashing of slot"),
        ResponseError("MISCONF Redis is configured to save RDB snapshots"),
        ResponseError("NOREPLICAS Not enough good replicas to write."),
        ResponseError("Command # 1 (FCALL gate) of pipeline caused error: NOREPLICAS Not enough good replicas"),
        ExecAbortError("Transaction discarded because of: MISCONF Redis is configured"),
    ],
)
def test_is_redis_unavailable_with_passing_refusal_is_true(error: Exception) -> None:
    assert is_redis_unavailable(error)
    assert unavailable_server(error) == "redis"


@pytest.mark.parametrize(
    "error",
    [
        ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        ResponseError("Command # 1 (SET x because of: OOM ) of pipeline caused error: WRONGTYPE Operation"),
        ResponseError("ERR Function not found"),
        ValueError("OOM "),
    ],
)
def test_is_redis_unavailable_with_lasting_error_is_false(error: Exception) -> None:
    assert not is_redis_unavailable(error)
    assert unavailable_server(error) is None


def test_unavailable_server_of_kafka_errors_is_kafka() -> None:
    assert unavailable_server(KafkaException(KafkaError(KafkaError._TRANSPORT))) == "kafka"
    assert unavailable_server(OSError("no route")) == "kafka"
