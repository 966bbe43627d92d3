"""MongoDB features that this project relies on, verified on the local stand-in."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Barrier

import psutil
import pytest
from bson import Binary
from pymongo import InsertOne, ReplaceOne, UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError, ConnectionFailure

from include.archive import store
from include.clients.mongodb import Client, Document, translate_errors
from include.contracts.collections import SESSIONS
from include.contracts.errors import TerminalError, TransientError
from include.contracts.setting import Secret
from include.contracts.settings import LOOPBACK, LocalSettings, MongodbSettings, Settings
from local.stack import ARCHIVE, Stack

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_upsert_by_id_replaces_the_whole_document(empty: Database[Document]) -> None:
    def put(*result: Document) -> None:
        empty.plain.bulk_write([ReplaceOne({"_id": entry["_id"]}, entry, upsert=True) for entry in result], False)

    put({"_id": "a", "old": 1}, {"_id": "b"})
    put({"_id": "a", "new": 2}, {"_id": "c"})

    assert sorted(empty.plain.find({}), key=str) == [{"_id": "a", "new": 2}, {"_id": "b"}, {"_id": "c"}]


def test_max_update_does_not_decrease_and_set_always_applies(empty: Database[Document]) -> None:
    for offset in (5, 9, 7):
        move = UpdateOne({"_id": "p"}, {"$max": {"offset": offset}, "$set": {"last": offset}}, upsert=True)
        empty.marks.bulk_write([move], ordered=False)
    assert empty.marks.find_one({"_id": "p"}) == {"_id": "p", "offset": 9, "last": 7}


def test_insert_duplicate_id_fails_with_code_11000(empty: Database[Document]) -> None:
    with pytest.raises(BulkWriteError) as raised:
        empty.plain.bulk_write([InsertOne({"_id": 1}), InsertOne({"_id": 1}), InsertOne({"_id": 2})], ordered=False)
    assert [entry["code"] for entry in raised.value.details["writeErrors"]] == [11_000]
    assert empty.plain.count_documents({}) == 2


def test_find_by_time_range_and_sort_returns_stored_values(empty: Database[Document]) -> None:
    empty.plain.insert_many([{"_id": n, "at": NOON + timedelta(hours=n), "value": Binary(b"\xff\x00")} for n in (0, 1)])
    assert empty.plain.count_documents({"at": {"$gte": NOON, "$lt": NOON + timedelta(hours=1)}}) == 1
    assert empty.plain.find_one({}, sort=[("at", -1)]) == {
        "_id": 1,
        "at": NOON + timedelta(hours=1),
        "value": b"\xff\x00",
    }


def test_aggregate_sums_groups(empty: Database[Document]) -> None:
    empty.plain.insert_many([{"kind": kind, "n": n} for kind, n in (("a", 1), ("a", 3), ("b", 5))])
    stages: list[Document] = [
        {"$group": {"_id": "$kind", "sum": {"$sum": "$n"}, "mean": {"$avg": "$n"}}},
        {"$sort": {"_id": 1}},
    ]
    assert list(empty.plain.aggregate(stages)) == [
        {"_id": "a", "sum": 4, "mean": 2.0},
        {"_id": "b", "sum": 5, "mean": 5.0},
    ]


def test_rename_with_drop_target_replaces_the_collection(empty: Database[Document]) -> None:
    empty.old.insert_one({"_id": "old"})
    empty.new.insert_one({"_id": "new"})
    empty.new.rename("old", dropTarget=True)
    assert list(empty.old.find({})) == [{"_id": "new"}]
    assert "new" not in empty.list_collection_names()


def test_ensure_indexes_is_idempotent(empty: Database[Document]) -> None:
    store.ensure_indexes(empty)
    names = set(empty[SESSIONS].index_information())
    assert names >= {"received_at", "started_at", "user"}


def test_ids_of_every_type_survive_a_restart(archive_stack: Stack, empty: Database[Document]) -> None:
    ids = ["a", "", "\u00fc" * 100, 1, 2.5, NOON, True, {"a": 1}, None, Binary(b"\xff")]
    empty.plain.insert_many([{"_id": key, "list": [1, None, {"b": NOON}]} for key in ids])
    before = [empty.plain.find_one({"_id": key}) for key in ids]

    archive_stack.kill("mongodb")
    archive_stack.wait(ARCHIVE)

    assert [empty.plain.find_one({"_id": key}) for key in ids] == before
    assert empty.plain.count_documents({}) == len(ids)
    with pytest.raises(BulkWriteError):
        empty.plain.insert_many([{"_id": key} for key in ids], ordered=False)


def test_acknowledged_writes_of_concurrent_writers_survive_a_kill(
    archive_stack: Stack, empty: Database[Document]
) -> None:
    all_started = Barrier(5)

    def write_until_the_kill(writer: int) -> list[str]:
        acknowledged: list[str] = []
        with pytest.raises(ConnectionFailure):
            for number in count():
                key = f"{writer}:{number}"
                empty.plain.insert_one({"_id": key})
                acknowledged.append(key)
                if number == 50:
                    all_started.wait(timeout=60)
        return acknowledged

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write_until_the_kill, writer) for writer in range(4)]
        all_started.wait(timeout=60)
        archive_stack.kill("mongodb")
        acknowledged = {key for writer in writers for key in writer.result()}
    archive_stack.wait(ARCHIVE)

    # A write without a response may be stored too.
    stored = {match["_id"] for match in empty.plain.find({})}
    assert acknowledged <= stored
    assert len(stored - acknowledged) <= 4
    assert empty.plain.count_documents({"_id": {"$in": sorted(stored)}}) == len(stored)


def test_server_listens_only_on_loopback(archive_stack: Stack) -> None:
    pids = archive_stack.pids("mongodb")
    results = [
        connection
        for connection in psutil.net_connections("tcp")
        if connection.pid in pids and connection.status == psutil.CONN_LISTEN
    ]
    assert {
        (connection.laddr.ip.removeprefix("::ffff:"), connection.laddr.port)
        for connection in results
        if connection.laddr
    } == {(LOOPBACK, archive_stack.settings.local.ports.mongodb)}


def test_errors_are_transient_or_terminal(client: Client, empty: Database[Document]) -> None:
    with pytest.raises(TerminalError, match="refused"), translate_errors("run a command"):
        empty.command("noSuchCommand")
    with pytest.raises(TerminalError, match="refused"):
        store.connect(Settings(mongodb=MongodbSettings(url=Secret("http://nowhere"))).mongodb)
    with pytest.raises(TerminalError, match="refused"):
        store.database(client, Settings(mongodb=MongodbSettings(database="no.database")).mongodb)


def test_unreachable_server_raises_transient_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CONNECT_MS", 300)
    unavailable = Settings(
        mongodb=MongodbSettings(url=Secret("mongodb://127.0.0.1:9")), local=LocalSettings(state_dir=Path("none"))
    )
    with (
        store.connect(unavailable.mongodb) as unreachable,
        pytest.raises(TransientError, match="is unavailable"),
        translate_errors("run a command"),
    ):
        unreachable.admin.command("ping")
