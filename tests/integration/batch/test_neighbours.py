"""Neighbours on a real Elasticsearch and the MongoDB stand-in: readers always see one complete run."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from pymongo import MongoClient

from include.batch.lsh.publish import Rows, publish
from include.batch.lsh.stores import STAGED, ElasticStore, MongoStore, Store
from include.contracts.collections import NEIGHBOURS
from include.contracts.errors import TerminalError, TransientError
from include.contracts.index_documents import NEIGHBOURS_ALIAS
from include.contracts.setting import Secret
from include.contracts.settings import Settings
from local.stack import ARCHIVE, Stack

USERS = 60


@pytest.fixture
def own(stack: Stack) -> Iterator[Settings]:
    """Settings with a database of this test; the alias is deleted afterwards."""
    stack.up(ARCHIVE)
    settings = stack.settings.replace(mongodb={"database": f"test-{uuid.uuid4().hex[:12]}"})
    yield settings
    with MongoClient[dict[str, Any]](settings.mongodb.url.reveal()) as mongo:
        mongo.drop_database(settings.mongodb.database)
    with Elasticsearch(settings.elasticsearch.url) as elastic:
        indices = list(elastic.indices.get_alias(index=f"{NEIGHBOURS_ALIAS}-*").keys())
        if indices:
            elastic.indices.delete(index=indices)


def rows(users: int = USERS, similarity: float = 0.75) -> Iterator[Rows]:
    """Yield rows in the file's format, in batches of ten."""
    for start in range(0, users, 10):
        yield [row(f"u{number:04d}", similarity) for number in range(start, min(start + 10, users))]


def row(user: str, similarity: float) -> dict[str, Any]:
    near = {"user_id": "u0000", "similarity": similarity, "shared_tokens": 6, "shared": ["product:p01", "state:CA"]}
    alone = user == "u0000"
    return {
        "user_id": user,
        "status": "nobody_alike" if alone else "alike",
        "tokens": 8,
        "same_tokens": 0,
        "neighbours": [] if alone else [near],
    }


def put(settings: Settings, run: str, batches: Iterator[Rows] | None = None) -> int:
    with closing(MongoStore(settings.mongodb)) as mongo, closing(ElasticStore(settings.elasticsearch)) as elastic:
        stores: tuple[Store, Store] = (mongo, elastic)
        return publish(batches or rows(), stores, run)


def in_mongo(settings: Settings) -> list[dict[str, Any]]:
    with MongoClient[dict[str, Any]](settings.mongodb.url.reveal()) as client:
        return list(client[settings.mongodb.database][NEIGHBOURS].find({}))


def staged_in_mongo(settings: Settings) -> list[str]:
    with MongoClient[dict[str, Any]](settings.mongodb.url.reveal()) as client:
        return [name for name in client[settings.mongodb.database].list_collection_names() if name.startswith(STAGED)]


def in_elasticsearch(settings: Settings, query: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    with Elasticsearch(settings.elasticsearch.url) as client:
        response = client.search(index=NEIGHBOURS_ALIAS, query=query or {"match_all": {}}, size=1_000)
    return [hit["_source"] for hit in response["hits"]["hits"]]


def indices(settings: Settings) -> list[str]:
    with Elasticsearch(settings.elasticsearch.url) as client:
        return list(client.indices.get_alias(index=f"{NEIGHBOURS_ALIAS}-*").keys())


def seen(settings: Settings) -> list[tuple[int, set[str]]]:
    """Return for each store the number of users, and their runs."""
    return [
        (len(result), {one["run"] for one in result}) for result in (in_mongo(settings), in_elasticsearch(settings))
    ]


def test_publish_writes_both_stores_with_shared_tokens(own: Settings) -> None:
    assert put(own, "first") == USERS
    assert seen(own) == [(USERS, {"first"})] * 2
    one = next(entry for entry in in_mongo(own) if entry["_id"] == "u0007")
    assert one["neighbours"] == row("u0007", 0.75)["neighbours"]
    about = {"nested": {"path": "neighbours", "query": {"term": {"neighbours.shared": "product:p01"}}}}
    assert len(in_elasticsearch(own, about)) == USERS - 1
    assert len(in_elasticsearch(own, {"range": {"nearest_similarity": {"gte": 0.7}}})) == USERS - 1
    assert [entry["user_id"] for entry in in_elasticsearch(own, {"term": {"status": "nobody_alike"}})] == ["u0000"]


def test_publish_replaces_the_previous_run(own: Settings) -> None:
    put(own, "first")
    put(own, "second", rows(40))
    assert seen(own) == [(40, {"second"})] * 2
    put(own, "second", rows(40))
    assert seen(own) == [(40, {"second"})] * 2
    assert len(indices(own)) == 1
    assert staged_in_mongo(own) == []


def test_killed_publish_changes_nothing(own: Settings) -> None:
    put(own, "first")
    code = (
        "import os, time\n"
        "from include.contracts.settings import Settings\n"
        "from tests.integration.batch.test_neighbours import put, rows\n"
        "def slow():\n"
        "    for number, batch in enumerate(rows()):\n"
        "        if number == 3:\n"
        "            print('half', flush=True)\n"
        "            time.sleep(60)\n"
        "        yield batch\n"
        "put(Settings.from_env(os.environ), 'killed', slow())\n"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": ".",
        "SHOWROOM_LOCAL_PORT_OFFSET": str(own.local.port_offset),
        "SHOWROOM_MONGODB_DATABASE": own.mongodb.database,
    }
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "half\n"
        killed.send_signal(signal.SIGKILL)
    assert seen(own) == [(USERS, {"first"})] * 2
    assert len(staged_in_mongo(own)) == 1
    assert len(indices(own)) == 2
    put(own, "again", rows(50))
    assert seen(own) == [(50, {"again"})] * 2
    assert staged_in_mongo(own) == []
    assert len(indices(own)) == 1


def test_concurrent_readers_see_one_complete_run(own: Settings) -> None:
    put(own, "run-0")
    over = threading.Event()
    torn: list[Any] = []
    looked = 0

    def read() -> None:
        nonlocal looked
        while not over.is_set():
            (in_archive, its_runs), in_index = seen(own)
            looked += 1
            # The stand-in drops, then renames; MongoDB does both under one lock.
            if (in_archive, its_runs) != (0, set()) and (in_archive != USERS or len(its_runs) != 1):
                torn.append(("archive", in_archive, its_runs))
            if in_index[0] != USERS or len(in_index[1]) != 1:
                torn.append(("index", *in_index))
            time.sleep(0.005)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 6):
        put(own, f"run-{number}")
    over.set()
    reader.join()
    assert looked > 10
    assert torn == []


def test_publish_to_a_failing_store_keeps_the_previous_run(own: Settings) -> None:
    put(own, "first")
    for unavailable in (
        {"elasticsearch": {"url": "http://127.0.0.1:9"}},
        {"mongodb": {"url": Secret("mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=200")}},
    ):
        with pytest.raises(TransientError, match="is unavailable"):
            put(own.replace(**unavailable), "second")
    strange = iter([[row("u0001", 0.5) | {"surprise": 1}]])
    with pytest.raises(TerminalError, match="refused 1 documents"):
        put(own, "second", strange)
    with pytest.raises(TerminalError, match="no neighbours to publish"):
        put(own, "second", iter([[]]))
    assert seen(own) == [(USERS, {"first"})] * 2


def test_publish_with_lost_staging_does_not_swap(own: Settings) -> None:
    put(own, "first")

    def meddled() -> Iterator[Rows]:
        batches = list(rows())
        yield from batches[:3]
        with closing(MongoStore(own.mongodb)) as mongo, closing(ElasticStore(own.elasticsearch)) as elastic:
            mongo.cleanup()
            elastic.cleanup()
        yield from batches[3:]

    with pytest.raises(TransientError, match="30 staged neighbours instead of 60"):
        put(own, "second", meddled())
    assert seen(own) == [(USERS, {"first"})] * 2
