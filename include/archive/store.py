"""The archive's database in MongoDB, with its timeouts and indexes."""

from datetime import UTC

import pymongo
from bson.codec_options import CodecOptions
from pymongo.database import Database

from include.clients import mongodb
from include.clients.mongodb import Client, Document, translate_errors
from include.contracts.collections import SESSIONS
from include.contracts.settings import MongodbSettings

CONNECT_MS = 5_000
ANSWER_MS = 60_000

SESSION_INDEXES = (
    pymongo.IndexModel([("received_at", pymongo.ASCENDING)], name="received_at"),
    pymongo.IndexModel([("started_at", pymongo.ASCENDING)], name="started_at"),
    pymongo.IndexModel([("user_id", pymongo.ASCENDING), ("started_at", pymongo.ASCENDING)], name="user"),
)


def connect(settings: MongodbSettings, timeout_s: float | None = None) -> Client:
    """Return a client of the configured MongoDB; it opens no connection yet. Close it after use.

    `timeout_s` limits each operation, for callers with a deadline. Raises TerminalError for an invalid address.
    """
    limit_ms = None if timeout_s is None else int(timeout_s * 1_000)
    return mongodb.connect(
        settings.url.reveal(),
        appname="showroom",
        server_selection_ms=limit_ms or CONNECT_MS,
        timeout_ms=limit_ms,
        socket_ms=ANSWER_MS,
    )


def database(client: Client, settings: MongodbSettings) -> Database[Document]:
    """Return the archive's database, configured by `durable`. Raises TerminalError for an invalid name."""
    with translate_errors("open the database"):
        return durable(client[settings.database])


def durable(plain: Database[Document]) -> Database[Document]:
    """Return the same database with majority-acknowledged, durable writes and aware times in UTC."""
    return plain.with_options(
        codec_options=CodecOptions(tz_aware=True, tzinfo=UTC),
        write_concern=pymongo.WriteConcern(w="majority", j=True),
    )


def ensure_indexes(plain: Database[Document]) -> None:
    """Create the missing indexes for queries by time and by user. Raises TransientError, TerminalError."""
    with translate_errors("create indexes"):
        durable(plain)[SESSIONS].create_indexes(list(SESSION_INDEXES))
