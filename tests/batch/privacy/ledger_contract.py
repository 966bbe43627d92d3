"""The contract of every store of ledger entries; run against the MongoDB stand-in and the in-memory store."""

import threading
from datetime import UTC, datetime

import pytest

from include.batch.privacy.ledger_store import DuplicateEntryError, Entries
from include.clients.mongodb import Document

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Memory:
    """In-memory store of ledger entries."""

    def __init__(self) -> None:
        self.entries: list[Document] = []
        self._lock = threading.Lock()

    def read(self) -> list[Document]:
        return sorted(self.entries, key=lambda entry: int(entry["number"]))

    def add(self, entry: Document) -> None:
        with self._lock:
            if any(entry[name] == other[name] for name in ("_id", "number") for other in self.entries):
                raise DuplicateEntryError
            self.entries.append(dict(entry))


def entry(key: str, number: int) -> Document:
    return {"_id": key, "number": number, "mechanism": {"sigma": 1.0}, "epsilon": 1.0, "charged_at": NOON}


def stores_entries_unchanged(entries: Entries) -> None:
    entries.add(entry("b", 2))
    entries.add(entry("a", 1))
    assert entries.read() == [entry("a", 1), entry("b", 2)]


def rejects_a_duplicate_number_or_key(entries: Entries) -> None:
    entries.add(entry("a", 1))
    for twin in (entry("b", 1), entry("a", 2)):
        with pytest.raises(DuplicateEntryError):
            entries.add(twin)
    assert entries.read() == [entry("a", 1)]


def accepts_one_of_concurrent_entries(entries: Entries) -> None:
    came: list[str] = []

    def add(key: str) -> None:
        try:
            entries.add(entry(key, 1))
        except DuplicateEntryError:
            return
        came.append(key)

    threads = [threading.Thread(target=add, args=(f"run-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result["_id"] for result in entries.read()] == came
    assert len(came) == 1


CONTRACT = (stores_entries_unchanged, rejects_a_duplicate_number_or_key, accepts_one_of_concurrent_entries)
