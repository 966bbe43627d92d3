"""What this project relies on in MongoDB, asked of the server the tests run on: the local stand-in."""

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
from include.archive.store import Client, Document
from include.contracts.collections import SESSIONS
from include.contracts.errors import TerminalError, TransientError
from include.contracts.setting import Secret
from include.contracts.settings import LOOPBACK, LocalSettings, MongodbSettings, Settings
from local.stack import ARCHIVE, Stack

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_an_upsert_by_id_replaces_the_whole_document(empty: Database[Document]) -> None:
    def put(*result: Document) -> None:
        empty.plain.bulk_write([ReplaceOne({"_id": entry["_id"]}, entry, upsert=True) for entry in result], False)

    put({"_id": "a", "old": 1}, {"_id": "b"})
    put({"_id": "a", "new": 2}, {"_id": "c"})

    assert sorted(empty.plain.find({}), key=str) == [{"_id": "a", "new": 2}, {"_id": "b"}, {"_id": "c"}]


def test_a_maximum_never_goes_back_and_what_is_set_with_it_follows(empty: Database[Document]) -> None:
    for offset in (5, 9, 7):
        move = UpdateOne({"_id": "p"}, {"$max": {"offset": offset}, "$set": {"last": offset}}, upsert=True)
        empty.marks.bulk_write([move], ordered=False)
    assert empty.marks.find_one({"_id": "p"}) == {"_id": "p", "offset": 9, "last": 7}


def test_a_second_document_of_one_id_is_refused_with_its_code(empty: Database[Document]) -> None:
    with pytest.raises(BulkWriteError) as raised:
        empty.plain.bulk_write([InsertOne({"_id": 1}), InsertOne({"_id": 1}), InsertOne({"_id": 2})], ordered=False)
    assert [entry["code"] for entry in raised.value.details["writeErrors"]] == [11_000]
    assert empty.plain.count_documents({}) == 2


def test_ranges_of_times_and_bytes_are_found_as_written(empty: Database[Document]) -> None:
    empty.plain.insert_many([{"_id": n, "at": NOON + timedelta(hours=n), "value": Binary(b"\xff\x00")} for n in (0, 1)])
    assert empty.plain.count_documents({"at": {"$gte": NOON, "$lt": NOON + timedelta(hours=1)}}) == 1
    assert empty.plain.find_one({}, sort=[("at", -1)]) == {
        "_id": 1,
        "at": NOON + timedelta(hours=1),
        "value": b"\xff\x00",
    }


def test_groups_are_summed(empty: Database[Document]) -> None:
    empty.plain.insert_many([{"kind": kind, "n": n} for kind, n in (("a", 1), ("a", 3), ("b", 5))])
    stages: list[Document] = [
        {"$group": {"_id": "$kind", "sum": {"$sum": "$n"}, "mean": {"$avg": "$n"}}},
        {"$sort": {"_id": 1}},
    ]
    assert list(empty.plain.aggregate(stages)) == [
        {"_id": "a", "sum": 4, "mean": 2.0},
        {"_id": "b", "sum": 5, "mean": 5.0},
    ]


def test_a_collection_renamed_onto_another_takes_its_place(empty: Database[Document]) -> None:
    empty.old.insert_one({"_id": "old"})
    empty.new.insert_one({"_id": "new"})
    empty.new.rename("old", dropTarget=True)
    assert list(empty.old.find({})) == [{"_id": "new"}]
    assert "new" not in empty.list_collection_names()


def test_indexes_are_made_once(empty: Database[Document]) -> None:
    store.ensure_indexes(empty)
    names = set(empty[SESSIONS].index_information())
    assert names >= {"received_at", "started_at", "user"}


def test_ids_of_every_kind_are_found_after_a_restart(archive_stack: Stack, empty: Database[Document]) -> None:
    ids = ["a", "", "\u00fc" * 100, 1, 2.5, NOON, True, {"a": 1}, None, Binary(b"\xff")]
    empty.plain.insert_many([{"_id": key, "list": [1, None, {"b": NOON}]} for key in ids])
    before = [empty.plain.find_one({"_id": key}) for key in ids]

    archive_stack.kill("mongodb")
    archive_stack.wait(ARCHIVE)

    assert [empty.plain.find_one({"_id": key}) for key in ids] == before
    assert empty.plain.count_documents({}) == len(ids)
    with pytest.raises(BulkWriteError):
        empty.plain.insert_many([{"_id": key} for key in ids], ordered=False)


def test_what_was_acknowledged_to_several_writers_survives_a_kill(
    archive_stack: Stack, empty: Database[Document]
) -> None:
    enough = Barrier(5)

    def write_until_the_kill(writer: int) -> list[str]:
        acknowledged: list[str] = []
        with pytest.raises(ConnectionFailure):
            for number in count():
                key = f"{writer}:{number}"
                empty.plain.insert_one({"_id": key})
                acknowledged.append(key)
                if number == 50:
                    enough.wait(timeout=60)
        return acknowledged

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write_until_the_kill, writer) for writer in range(4)]
        enough.wait(timeout=60)
        archive_stack.kill("mongodb")
        acknowledged = {key for writer in writers for key in writer.result()}
    archive_stack.wait(ARCHIVE)

    # A write that was executed and never answered may be there as well.
    stored = {match["_id"] for match in empty.plain.find({})}
    assert acknowledged <= stored
    assert len(stored - acknowledged) <= 4
    assert empty.plain.count_documents({"_id": {"$in": sorted(stored)}}) == len(stored)


def test_only_loopback_is_listened_on(archive_stack: Stack) -> None:
    ours = archive_stack.pids("mongodb")
    results = [seen for seen in psutil.net_connections("tcp") if seen.pid in ours and seen.status == psutil.CONN_LISTEN]
    assert {(seen.laddr.ip.removeprefix("::ffff:"), seen.laddr.port) for seen in results if seen.laddr} == {
        (LOOPBACK, archive_stack.settings.local.ports.mongodb)
    }


def test_errors_say_whether_to_try_again(client: Client, empty: Database[Document]) -> None:
    with pytest.raises(TerminalError, match="refused"), store.errors("ask"):
        empty.command("noSuchCommand")
    with pytest.raises(TerminalError, match="refused"):
        store.connect(Settings(mongodb=MongodbSettings(url=Secret("http://nowhere"))))
    with pytest.raises(TerminalError, match="refused"):
        store.database(client, Settings(mongodb=MongodbSettings(database="no.database")))


def test_a_server_that_is_away_is_told_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CONNECT_MS", 300)
    unavailable = Settings(
        mongodb=MongodbSettings(url=Secret("mongodb://127.0.0.1:9")), local=LocalSettings(state_dir=Path("none"))
    )
    with (
        store.connect(unavailable) as nobody,
        pytest.raises(TransientError, match="does not answer"),
        store.errors("ask"),
    ):
        nobody.admin.command("ping")
