"""MongoDB's client: connect, and translate its errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymongo
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    ExecutionTimeout,
    PyMongoError,
    WaitQueueTimeoutError,
    WTimeoutError,
)

from include.clients.errors import MAX_REASON_CHARACTERS, unavailable
from include.contracts.errors import TerminalError, TransientError

Document = dict[str, Any]
Client = pymongo.MongoClient[Document]

UNAVAILABLE = (ConnectionFailure, WaitQueueTimeoutError)
BUSY = (WTimeoutError, ExecutionTimeout)
BUSY_CODES = frozenset({50, 91, 189, 262, 10_107, 11_600, 11_602, 13_435, 13_436})
"""Codes of a server that is starting, stopping or electing a primary, and of an exceeded time limit.

https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
"""
CURSOR_LOST_CODES = frozenset({43, 175, 237})
"""CursorNotFound, QueryPlanKilled, CursorKilled: restart the query from the beginning."""


def connect(
    url: str,
    *,
    server_selection_ms: float,
    appname: str | None = None,
    socket_ms: float | None = None,
    timeout_ms: float | None = None,
    retry_writes: bool = True,
) -> Client:
    """Return a client; it connects with its first command. Close it after use.

    Args:
        url: Address, with the login.
        server_selection_ms: Limit of the search for a server.
        appname: Name in the server's log.
        socket_ms: Limit of a connection attempt and of a response. It also limits the client's heartbeat, which the
        local stand-in answers only between commands. A short limit therefore interrupts long commands.
            None: the client's own limits.
        timeout_ms: Limit of each operation as a whole; None for no limit.
        retry_writes: Whether the client repeats a write after a lost connection.

    Raises:
        TerminalError: The address is invalid.
    """
    limits: dict[str, Any] = {} if socket_ms is None else {"connectTimeoutMS": socket_ms, "socketTimeoutMS": socket_ms}
    with translate_errors("connection to MongoDB"):
        return Client(
            url,
            appname=appname,
            serverSelectionTimeoutMS=server_selection_ms,
            timeoutMS=timeout_ms,
            retryWrites=retry_writes,
            **limits,
        )


@contextmanager
def translate_errors(operation: str) -> Iterator[None]:
    """Raise the client's errors as TransientError (unavailable, busy, cursor lost) or TerminalError (refused)."""
    try:
        yield
    except UNAVAILABLE as error:
        raise unavailable(operation, "MongoDB", error) from error
    except PyMongoError as error:
        message = f"{operation} failed: MongoDB refused: {_reason(error)}"
        code = getattr(error, "code", None)
        if isinstance(error, BUSY) or code in BUSY_CODES:
            raise TransientError(message, "wait until MongoDB is less busy, then try again") from error
        if code in CURSOR_LOST_CODES:
            raise TransientError(message, "try again") from error
        raise TerminalError(message, "see SHOWROOM_MONGODB_URL and MongoDB's log") from error


def _reason(error: PyMongoError) -> str:
    text = str(error)
    if isinstance(error, BulkWriteError):
        failures = [*error.details.get("writeErrors", ()), *error.details.get("writeConcernErrors", ())]
        first = "; ".join(str(failure.get("errmsg", "")) for failure in failures[:1])
        text = f"{first} ({len(failures)} in all)"
    return text[:MAX_REASON_CHARACTERS]
