"""The privacy ledger on the MongoDB stand-in."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from include.batch.privacy.ledger_store import Entries, MongoEntries, open_ledger
from include.contracts.errors import TerminalError, TransientError
from include.contracts.setting import Secret
from include.contracts.settings import LOOPBACK, MongodbSettings, Settings
from local.stack import Stack
from tests.batch.privacy.ledger_contract import CONTRACT, entry


@pytest.fixture
def own(stack: Stack) -> Iterator[Settings]:
    """Settings with a database of this test."""
    stack.up(("mongodb",))
    settings = stack.settings.replace(mongodb={"database": f"test-{uuid.uuid4().hex[:12]}"})
    yield settings
    with MongoClient[dict[str, Any]](settings.mongodb.url.reveal()) as mongo:
        mongo.drop_database(settings.mongodb.database)


@pytest.mark.parametrize("contract", CONTRACT)
def test_mongodb_ledger_satisfies_the_contract(own: Settings, contract: Callable[[Entries], None]) -> None:
    with open_ledger(own.mongodb) as entries:
        contract(entries)


def test_charges_survive_a_crash_of_mongodb(own: Settings, stack: Stack) -> None:
    with open_ledger(own.mongodb) as entries:
        entries.add(entry("a", 1))
    stack.kill("mongodb")
    stack.wait(("mongodb",))
    with open_ledger(own.mongodb) as entries:
        assert entries.read() == [entry("a", 1)]


def test_read_of_an_entry_without_a_number_raises(own: Settings) -> None:
    with MongoClient[dict[str, Any]](own.mongodb.url.reveal()) as mongo:
        mongo[own.mongodb.database].privacy.insert_one({"_id": "a"})
    with open_ledger(own.mongodb) as entries, pytest.raises(TerminalError, match="has no number"):
        entries.read()


def test_unavailable_mongodb_raises_transient_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.batch.privacy.ledger_store.CONNECT_MS", 200)
    with (
        open_ledger(Settings(mongodb=MongodbSettings(url=Secret(f"mongodb://{LOOPBACK}:9"))).mongodb) as entries,
        pytest.raises(TransientError, match="read the privacy ledger"),
    ):
        entries.read()
    assert isinstance(entries, MongoEntries)
