"""Storage of the privacy ledger in MongoDB."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import Protocol

import pymongo
from bson.codec_options import CodecOptions
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

from include.clients.mongodb import Document, connect, translate_errors
from include.contracts.collections import PRIVACY
from include.contracts.errors import TerminalError
from include.contracts.settings import MongodbSettings

CONNECT_MS = 5_000
ANSWER_MS = 60_000
NUMBER = "number"


class DuplicateEntryError(Exception):
    """Another entry has the same number or key."""


class Entries(Protocol):
    """Storage of the ledger's entries."""

    def read(self) -> list[Document]:
        """Return all entries, by number."""
        ...

    def add(self, entry: Document) -> None:
        """Store an entry durably before returning.

        Raises:
            DuplicateEntryError: an entry with its `_id` or `number` exists.
        """
        ...


class MongoEntries:
    """Entries in the collection `privacy`."""

    def __init__(self, collection: Collection[Document]) -> None:
        self._collection = collection

    def read(self) -> list[Document]:
        """Return all entries, by number.

        Raises:
            TransientError: MongoDB is unavailable.
            TerminalError: MongoDB rejected the request, or an entry has no number.
        """
        with translate_errors("read the privacy ledger"):
            return sorted(self._collection.find({}), key=_number)

    def add(self, entry: Document) -> None:
        """Insert an entry and wait for the disks of a majority.

        Raises:
            DuplicateEntryError: an entry with its `_id` or `number` exists.
            TransientError: MongoDB is unavailable.
            TerminalError: MongoDB rejected the request.
        """
        with translate_errors("charge the privacy ledger"):
            # Without the index two entries could have one number.
            self._collection.create_index([(NUMBER, pymongo.ASCENDING)], name=NUMBER, unique=True)
            try:
                self._collection.insert_one(entry)
            except DuplicateKeyError as error:
                raise DuplicateEntryError from error


@contextmanager
def open_ledger(settings: MongodbSettings) -> Iterator[MongoEntries]:
    """Open the ledger of the configured archive.

    Raises:
        TransientError: MongoDB is unavailable.
    """
    with (
        translate_errors("open the privacy ledger"),
        connect(
            settings.url.reveal(),
            appname="showroom-batch",
            server_selection_ms=CONNECT_MS,
            socket_ms=ANSWER_MS,
            # No automatic retries: the retry of an acknowledged write would look like another run's entry.
            retry_writes=False,
        ) as client,
    ):
        yield MongoEntries(
            client[settings.database].get_collection(
                PRIVACY,
                codec_options=CodecOptions(tz_aware=True, tzinfo=UTC),
                write_concern=pymongo.WriteConcern(w="majority", j=True),
            )
        )


def _number(entry: Document) -> int:
    number = entry.get(NUMBER)
    if not isinstance(number, int):
        raise TerminalError(
            f"the entry {entry.get('_id')} of the privacy ledger has no number",
            "correct the collection privacy; the spent budget is unknown without it",
        )
    return number
