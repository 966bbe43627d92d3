"""Which errors of Redis are transient, how they are translated, and the timeouts of a client."""

import pytest
from redis.exceptions import (
    AuthenticationError,
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

from include.clients.redis import connect, is_unavailable, translate_errors
from include.contracts.errors import SettingsError, TerminalError, TransientError
from include.gate.process import unavailable_server

PASSING = [
    ConnectionError("refused"),
    TimeoutError("no response"),
    BusyLoadingError("loading"),
    OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
    ReadOnlyError("You can't write against a read only replica."),
    ClusterDownError("CLUSTERDOWN The cluster is down"),
    TryAgainError("TRYAGAIN Multiple keys request during rehashing of slot"),
    ResponseError("MISCONF Redis is configured to save RDB snapshots"),
    ResponseError("NOREPLICAS Not enough good replicas to write."),
    ResponseError("Command # 1 (FCALL gate) of pipeline caused error: NOREPLICAS Not enough good replicas"),
    ExecAbortError("Transaction discarded because of: MISCONF Redis is configured"),
]
LASTING = [
    ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
    ResponseError("Command # 1 (SET x because of: OOM ) of pipeline caused error: WRONGTYPE Operation"),
    ResponseError("ERR Function not found"),
]


@pytest.mark.parametrize("error", PASSING)
def test_is_unavailable_with_passing_refusal_is_true(error: Exception) -> None:
    assert is_unavailable(error)
    assert unavailable_server(error) == "redis"


@pytest.mark.parametrize("error", [*LASTING, ValueError("OOM ")])
def test_is_unavailable_with_lasting_error_is_false(error: Exception) -> None:
    assert not is_unavailable(error)
    assert unavailable_server(error) is None


@pytest.mark.parametrize("error", [*PASSING, AuthenticationError("WRONGPASS")])
def test_translate_errors_raises_transient_error_with_remedy(error: Exception) -> None:
    with pytest.raises(TransientError) as raised, translate_errors("read of the decision log"):
        raise error
    assert raised.value.message == f"read of the decision log failed: Redis is unavailable ({type(error).__name__})"
    assert raised.value.remedy == "check that it runs: ./showroom status"
    assert raised.value.__cause__ is error


def test_translate_errors_with_error_of_the_code_passes_it_on() -> None:
    with pytest.raises(KeyError), translate_errors("a test"):
        raise KeyError("a bug")


def test_connect_keeps_the_limits_of_its_caller() -> None:
    with connect("redis://127.0.0.1:9/0", timeout_s=5.0, connect_timeout_s=3.0) as client:
        options = client.get_connection_kwargs()
        assert (options["socket_timeout"], options["socket_connect_timeout"]) == (5.0, 3.0)
        assert not options["decode_responses"]
        assert client.get_retry() is None
    with connect("redis://127.0.0.1:9/0", timeout_s=10.0, decode_responses=True) as client:
        options = client.get_connection_kwargs()
        assert (options["socket_timeout"], options["socket_connect_timeout"]) == (10.0, 10.0)
        assert options["decode_responses"]


def test_connect_with_an_invalid_address_hides_the_password() -> None:
    with pytest.raises(SettingsError, match="its address is invalid") as caught:
        connect("redis://:hush/secret@host:1/0", timeout_s=1.0)
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("error", LASTING)
def test_translate_errors_of_a_refused_command_is_terminal(error: Exception) -> None:
    with pytest.raises(TerminalError, match="read failed: Redis refused it") as raised, translate_errors("read"):
        raise error
    assert str(error) in raised.value.message
