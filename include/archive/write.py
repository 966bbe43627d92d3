"""Write records to collections: sessions under their ids, undecodable records with their bytes."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pymongo import ReplaceOne
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from include.archive import documents
from include.clients.mongodb import Document, translate_errors
from include.contracts.collections import SESSIONS, UNDECODABLE

MAX_REASON_CHARS = 300
DUPLICATE_KEY = 11_000
MAX_ATTEMPTS = 3


class Written(NamedTuple):
    """Number of records of one batch, by kind."""

    sessions: int
    undecodable: int


def write(database: Database[Document], records: Iterable[Any]) -> Written:
    """Store a batch of `sessions.valid`. Idempotent: documents are replaced by id. Raises as `errors` does."""
    sessions: dict[str, Document] = {}
    undecodable: dict[str, Document] = {}
    decoded = 0
    for record in records:
        try:
            entry = documents.document(documents.decode(record.value or b""))
        except ValueError as error:
            retained = _undecodable(record, error)
            undecodable[retained["_id"]] = retained
            continue
        decoded += 1
        sessions[entry["_id"]] = entry
    for collection, entries in ((SESSIONS, sessions), (UNDECODABLE, undecodable)):
        if entries:
            with translate_errors(f"write {collection}"):
                _store(database[collection], list(entries.values()))
    return Written(decoded, len(undecodable))


def _undecodable(record: Any, error: ValueError) -> Document:
    return {
        "_id": f"{record.topic}:{record.partition}:{record.offset}",
        "value": record.value,
        "reason": str(error)[:MAX_REASON_CHARS],
        "written_at": datetime.now(UTC),
    }


def _store(collection: Collection[Document], entries: list[Document]) -> None:
    """Insert documents, then replace existing ones, because most are new and an insert costs half of an upsert."""
    try:
        collection.insert_many(entries, ordered=False)
    except BulkWriteError as error:
        if not _has_only_duplicates(error):
            raise
        duplicates = [entries[failed["index"]] for failed in error.details["writeErrors"]]
    else:
        return
    writes = [ReplaceOne({"_id": entry["_id"]}, entry, upsert=True) for entry in duplicates]
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            collection.bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            # Of two concurrent upserts of one id, one fails; its retry replaces the document.
            if attempt == MAX_ATTEMPTS or not _has_only_duplicates(error):
                raise
        else:
            return


def _has_only_duplicates(error: BulkWriteError) -> bool:
    failed = error.details.get("writeErrors", [])
    unconfirmed = error.details.get("writeConcernErrors", [])
    return bool(failed) and not unconfirmed and all(entry.get("code") == DUPLICATE_KEY for entry in failed)
