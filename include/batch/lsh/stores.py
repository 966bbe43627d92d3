"""Stores of published neighbours: MongoDB and Elasticsearch.

A run is staged beside the previous run and then replaces it atomically. Staged data of a killed run is invisible to
readers; the next run deletes it.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pymongo
from elasticsearch import helpers

from include.clients import elasticsearch, mongodb
from include.contracts.collections import NEIGHBOURS
from include.contracts.errors import TransientError
from include.contracts.index_documents import NEIGHBOURS_ALIAS
from include.contracts.settings import ElasticsearchSettings, MongodbSettings

STAGED = f"{NEIGHBOURS}.staged."
CONNECT_MS = 5_000
ANSWER_MS = 120_000
TIMEOUT_S = 60.0
BULK_CHUNK_ROWS = 1_000

Row = Mapping[str, Any]

_KEYWORD = {"type": "keyword"}
_DOUBLE = {"type": "double"}
_COUNT = {"type": "integer"}
MAPPING: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        "user_id": _KEYWORD,
        "status": _KEYWORD,
        "tokens": _COUNT,
        "same_tokens": _COUNT,
        "nearest_similarity": _DOUBLE,
        "run": _KEYWORD,
        "neighbours": {
            "type": "nested",
            "properties": {
                "user_id": _KEYWORD,
                "similarity": _DOUBLE,
                "shared_tokens": _COUNT,
                "shared": _KEYWORD,
            },
        },
    },
}


class Store(Protocol):
    """A store of published neighbours. All methods raise TransientError or TerminalError."""

    def stage(self, rows: Sequence[Row]) -> None:
        """Add rows to the staged data."""

    def check(self, count: int) -> None:
        """Verify the number of staged rows.

        Raises:
            TransientError: the number differs from `count`.
        """

    def swap(self) -> None:
        """Replace the published rows by the staged rows atomically."""

    def cleanup(self) -> None:
        """Delete data that is not published."""


class MongoStore:
    """The collection in the archive's database; its `_id` is the user."""

    def __init__(self, settings: MongodbSettings) -> None:
        self._client = mongodb.connect(
            settings.url.reveal(), appname="showroom-batch", server_selection_ms=CONNECT_MS, socket_ms=ANSWER_MS
        )
        self._database = self._client[settings.database].with_options(
            write_concern=pymongo.WriteConcern(w="majority", j=True)
        )
        self._name = STAGED + uuid.uuid4().hex[:12]

    def stage(self, rows: Sequence[Row]) -> None:
        """Add rows to a collection of this run."""
        documents = [{"_id": row["user_id"], **{name: row[name] for name in row if name != "user_id"}} for row in rows]
        with mongodb.translate_errors("stage neighbours"):
            self._database[self._name].insert_many(documents, ordered=False)

    def check(self, count: int) -> None:
        """Verify the number of staged rows.

        Raises:
            TransientError: another run changed the staged rows.
        """
        with mongodb.translate_errors("count staged neighbours"):
            # Not count_documents, because its pipeline makes the local stand-in load every document into memory.
            actual = int(self._database.command("count", self._name)["n"])
        _require_count(actual, count, "MongoDB")

    def swap(self) -> None:
        """Replace the collection by one atomic rename."""
        with mongodb.translate_errors("replace neighbours"):
            self._database[self._name].rename(NEIGHBOURS, dropTarget=True)

    def cleanup(self) -> None:
        """Drop staged collections."""
        with mongodb.translate_errors("drop staged neighbours"):
            for name in self._database.list_collection_names():
                if name.startswith(STAGED):
                    self._database.drop_collection(name)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class ElasticStore:
    """One index per run behind an alias."""

    def __init__(self, settings: ElasticsearchSettings) -> None:
        self._settings = settings
        self._client = elasticsearch.connect(settings, timeout_s=TIMEOUT_S)
        self._index = f"{NEIGHBOURS_ALIAS}-{uuid.uuid4().hex[:12]}"
        self._is_created = False

    def stage(self, rows: Sequence[Row]) -> None:
        """Create the index of this run if missing, and add rows to it."""
        with elasticsearch.translate_errors("stage neighbours"):
            if not self._is_created:
                self._client.indices.create(index=self._index, mappings=MAPPING, settings=self._index_settings())
                self._is_created = True
            actions = ({"_index": self._index, "_id": row["user_id"], "_source": dict(row)} for row in rows)
            helpers.bulk(self._client, actions, chunk_size=BULK_CHUNK_ROWS)

    def check(self, count: int) -> None:
        """Verify the number of staged rows.

        Raises:
            TransientError: another run changed the staged rows.
        """
        with elasticsearch.translate_errors("count staged neighbours"):
            self._client.indices.put_settings(index=self._index, settings={"index.refresh_interval": None})
            self._client.indices.refresh(index=self._index)
            actual = int(self._client.count(index=self._index)["count"])
        _require_count(actual, count, "Elasticsearch")

    def swap(self) -> None:
        """Move the alias in one request."""
        with elasticsearch.translate_errors("replace neighbours"):
            old = [name for name in self._indices() if name != self._index]
            removals = [{"remove": {"index": name, "alias": NEIGHBOURS_ALIAS, "must_exist": False}} for name in old]
            self._client.indices.update_aliases(
                actions=[*removals, {"add": {"index": self._index, "alias": NEIGHBOURS_ALIAS}}],
            )

    def cleanup(self) -> None:
        """Delete the indices without the alias."""
        with elasticsearch.translate_errors("delete old neighbours"):
            unpublished = [name for name, aliases in self._indices().items() if NEIGHBOURS_ALIAS not in aliases]
            if unpublished:
                self._client.indices.delete(index=unpublished, ignore_unavailable=True)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _indices(self) -> dict[str, set[str]]:
        response = self._client.indices.get_alias(index=f"{NEIGHBOURS_ALIAS}-*", expand_wildcards="all")
        return {name: set(entry["aliases"]) for name, entry in response.items()}

    def _index_settings(self) -> dict[str, Any]:
        return {
            "number_of_shards": self._settings.shards,
            "number_of_replicas": self._settings.replicas,
            "refresh_interval": "-1",
        }


def _require_count(actual: int, count: int, store: str) -> None:
    if actual != count:
        raise TransientError(
            f"{store} has {actual} staged neighbours instead of {count}",
            "check that no other run is active, then run the step again",
        )
