"""Which errors of MongoDB are transient."""

import pytest
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    CursorNotFound,
    DuplicateKeyError,
    ExecutionTimeout,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WTimeoutError,
)

from include.clients.mongodb import connect, translate_errors
from include.contracts.errors import ShowroomError, TerminalError, TransientError

CHECK = "check that it runs: ./showroom status"
WAIT = "wait until MongoDB is less busy, then try again"
AGAIN = "try again"
LOG = "see SHOWROOM_MONGODB_URL and MongoDB's log"


@pytest.mark.parametrize(
    ("error", "kind", "remedy"),
    [
        (AutoReconnect("gone"), TransientError, CHECK),
        (NetworkTimeout("late"), TransientError, CHECK),
        (NotPrimaryError("stepping down"), TransientError, CHECK),
        (ServerSelectionTimeoutError("no server"), TransientError, CHECK),
        (WaitQueueTimeoutError("no connection is free"), TransientError, CHECK),
        (WTimeoutError("waiting for replication", 64), TransientError, WAIT),
        (ExecutionTimeout("operation exceeded time limit", 50), TransientError, WAIT),
        *((OperationFailure("unavailable", code), TransientError, WAIT) for code in (91, 189, 262, 10_107, 11_600)),
        *((OperationFailure("unavailable", code), TransientError, WAIT) for code in (11_602, 13_435, 13_436)),
        (CursorNotFound("cursor id 7 not found", 43), TransientError, AGAIN),
        (OperationFailure("plan killed", 175), TransientError, AGAIN),
        (OperationFailure("cursor killed", 237), TransientError, AGAIN),
        (OperationFailure("not authorized", 13), TerminalError, LOG),
        (OperationFailure("authentication failed", 18), TerminalError, LOG),
        (DuplicateKeyError("E11000", 11_000), TerminalError, LOG),
    ],
)
def test_translate_errors_returns_kind_and_remedy(error: Exception, kind: type[ShowroomError], remedy: str) -> None:
    with pytest.raises(kind, match=r"^a test failed: MongoDB ") as raised, translate_errors("a test"):
        raise error
    assert raised.value.remedy == remedy
    assert raised.value.__cause__ is error


def test_translate_errors_with_bulk_write_names_first_failure_and_their_number() -> None:
    failures = {"writeErrors": [{"errmsg": "E11000 " + "x" * 400}], "writeConcernErrors": [{"errmsg": "no majority"}]}
    with pytest.raises(TerminalError) as raised, translate_errors("a test"):
        raise BulkWriteError(failures)
    assert raised.value.message.startswith("a test failed: MongoDB refused: E11000 xxx")
    assert len(raised.value.message) < 350
    failures["writeErrors"][0]["errmsg"] = "E11000"
    with pytest.raises(TerminalError, match=r"E11000 \(2 in all\)"), translate_errors("a test"):
        raise BulkWriteError(failures)


def test_translate_errors_with_error_of_the_code_passes_it_on() -> None:
    with pytest.raises(KeyError), translate_errors("a test"):
        raise KeyError("a bug")


def test_connect_with_invalid_address_raises_terminal_error() -> None:
    with pytest.raises(TerminalError, match="connection to MongoDB failed: MongoDB refused"):
        connect("http://nowhere", server_selection_ms=100)


def test_connect_keeps_the_limits_of_its_caller() -> None:
    address = "mongodb://127.0.0.1:9"
    with connect(address, server_selection_ms=5_000, socket_ms=60_000, appname="test", retry_writes=False) as client:
        options = client.options
        assert options.server_selection_timeout == 5
        assert (options.pool_options.connect_timeout, options.pool_options.socket_timeout) == (60, 60)
        assert (options.timeout, options.retry_writes) == (None, False)
    with connect(address, server_selection_ms=3_000, timeout_ms=3_000) as client:
        options = client.options
        assert (options.server_selection_timeout, options.timeout) == (3, 3)
        assert (options.pool_options.connect_timeout, options.pool_options.socket_timeout) == (20, None)
        assert options.retry_writes
