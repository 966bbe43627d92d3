"""The MongoDB client, the archive's database, its indexes, and MongoDB's errors in the project's own family."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import Any

import pymongo
from bson.codec_options import CodecOptions
from pymongo.database import Database
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    ExecutionTimeout,
    PyMongoError,
    WaitQueueTimeoutError,
    WTimeoutError,
)

from include.contracts.collections import SESSIONS
from include.contracts.errors import TerminalError, TransientError
from include.contracts.settings import Settings

CONNECT_MS = 5_000
ANSWER_MS = 60_000
LONGEST_REASON = 300

Document = dict[str, Any]
Client = pymongo.MongoClient[Document]

CONNECTION_ERRORS = (ConnectionFailure, WaitQueueTimeoutError)
BUSY = (WTimeoutError, ExecutionTimeout)
# Answers of a server that is starting, stopping or handing over.
BUSY_CODES = frozenset({11_600, 11_602, 10_107, 13_435, 13_436, 189, 91, 262})

SESSION_INDEXES = (
    pymongo.IndexModel([("received_at", pymongo.ASCENDING)], name="received_at"),
    pymongo.IndexModel([("started_at", pymongo.ASCENDING)], name="started_at"),
    pymongo.IndexModel([("user_id", pymongo.ASCENDING), ("started_at", pymongo.ASCENDING)], name="user"),
)


def connect(settings: Settings, timeout_s: float | None = None) -> Client:
    """A client of the configured MongoDB; opens no connection yet. Close it after use.

    `timeout_s` limits each operation, for callers with a deadline. Raises TerminalError where the address is none.
    """
    limit_ms = None if timeout_s is None else int(timeout_s * 1_000)
    with errors("connect"):
        return Client(
            settings.mongodb.url.reveal(),
            appname="showroom",
            serverSelectionTimeoutMS=limit_ms or CONNECT_MS,
            timeoutMS=limit_ms,
            # Also the patience of the client's heartbeat, which the local stand-in answers only between commands:
            # a shorter one would cut off a command that takes long.
            connectTimeoutMS=ANSWER_MS,
            socketTimeoutMS=ANSWER_MS,
        )


def database(client: Client, settings: Settings) -> Database[Document]:
    """The archive's database, as `durable` makes it. Raises TerminalError for a name that cannot be one."""
    with errors("open the database"):
        return durable(client[settings.mongodb.database])


def durable(plain: Database[Document]) -> Database[Document]:
    """The same database: what it acknowledges is on the disks of a majority, and its times are aware, in UTC."""
    return plain.with_options(
        codec_options=CodecOptions(tz_aware=True, tzinfo=UTC),
        write_concern=pymongo.WriteConcern(w="majority", j=True),
    )


def ensure_indexes(plain: Database[Document]) -> None:
    """Create what queries by time and by user need; those that are there stay. Raises as `errors` does."""
    with errors("create indexes"):
        durable(plain)[SESSIONS].create_indexes(list(SESSION_INDEXES))


@contextmanager
def errors(doing: str) -> Iterator[None]:
    """Raise what fails inside as TransientError (away, busy) or TerminalError (refused)."""
    try:
        yield
    except CONNECTION_ERRORS as error:
        raise TransientError(
            f"{doing}: MongoDB does not answer ({type(error).__name__})", "see that it runs: ./showroom status"
        ) from error
    except PyMongoError as error:
        message = f"{doing}: MongoDB refused: {_reason(error)}"
        if isinstance(error, BUSY) or getattr(error, "code", None) in BUSY_CODES:
            raise TransientError(message, "wait until MongoDB is less busy, then try again") from error
        raise TerminalError(message, "see SHOWROOM_MONGODB_URL and MongoDB's log") from error


def _reason(error: PyMongoError) -> str:
    if isinstance(error, BulkWriteError):
        details = error.details
        messages = [*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())]
        text = "; ".join(str(entry.get("errmsg", "")) for entry in messages[:1]) + f" ({len(messages)} in all)"
    else:
        text = str(error)
    return text[:LONGEST_REASON]
