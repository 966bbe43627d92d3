"""Stores of published neighbours: MongoDB and Elasticsearch.

A run is staged beside the previous run and then replaces it atomically. Staged data of a killed run is invisible to
readers; the next run deletes it.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Protocol

import pymongo
from elasticsearch import ApiError, Elasticsearch, TransportError, helpers

from include.batch.features.source import errors as mongo_errors
from include.contracts.collections import NEIGHBOURS
from include.contracts.errors import TerminalError, TransientError
from include.contracts.index_documents import NEIGHBOURS_ALIAS
from include.contracts.settings import Settings

STAGED = f"{NEIGHBOURS}.staged."
CONNECT_MS = 5_000
ANSWER_MS = 120_000
TIMEOUT_S = 60.0
BULK_CHUNK_ROWS = 1_000

Row = Mapping[str, Any]

BUSY = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)

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

    def __init__(self, settings: Settings) -> None:
        self._client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
            settings.mongodb.url.reveal(),
            appname="showroom-batch",
            serverSelectionTimeoutMS=CONNECT_MS,
            # Also the patience of the client's heartbeat, which the local stand-in answers only between commands.
            connectTimeoutMS=ANSWER_MS,
            socketTimeoutMS=ANSWER_MS,
        )
        self._database = self._client[settings.mongodb.database].with_options(
            write_concern=pymongo.WriteConcern(w="majority", j=True)
        )
        self._name = STAGED + uuid.uuid4().hex[:12]

    def stage(self, rows: Sequence[Row]) -> None:
        """Add rows to a collection of this run."""
        documents = [{"_id": row["user_id"], **{name: row[name] for name in row if name != "user_id"}} for row in rows]
        with mongo_errors("stage neighbours"):
            self._database[self._name].insert_many(documents, ordered=False)

    def check(self, count: int) -> None:
        """Verify the number of staged rows.

        Raises:
            TransientError: another run changed the staged rows.
        """
        with mongo_errors("count staged neighbours"):
            # Not count_documents, because its pipeline makes the local stand-in load every document into memory.
            actual = int(self._database.command("count", self._name)["n"])
        _require_count(actual, count, "MongoDB")

    def swap(self) -> None:
        """Replace the collection by one atomic rename."""
        with mongo_errors("replace neighbours"):
            self._database[self._name].rename(NEIGHBOURS, dropTarget=True)

    def cleanup(self) -> None:
        """Drop staged collections."""
        with mongo_errors("drop staged neighbours"):
            for name in self._database.list_collection_names():
                if name.startswith(STAGED):
                    self._database.drop_collection(name)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class ElasticStore:
    """One index per run behind an alias."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = Elasticsearch(
            settings.elasticsearch.url,
            api_key=settings.elasticsearch.api_key.reveal() or None,
            request_timeout=TIMEOUT_S,
            max_retries=0,
            retry_on_timeout=False,
        )
        self._index = f"{NEIGHBOURS_ALIAS}-{uuid.uuid4().hex[:12]}"
        self._is_created = False

    def stage(self, rows: Sequence[Row]) -> None:
        """Create the index of this run if missing, and add rows to it."""
        with elastic_errors("stage neighbours"):
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
        with elastic_errors("count staged neighbours"):
            self._client.indices.put_settings(index=self._index, settings={"index.refresh_interval": None})
            self._client.indices.refresh(index=self._index)
            actual = int(self._client.count(index=self._index)["count"])
        _require_count(actual, count, "Elasticsearch")

    def swap(self) -> None:
        """Move the alias in one request."""
        with elastic_errors("replace neighbours"):
            old = [name for name in self._indices() if name != self._index]
            removals = [{"remove": {"index": name, "alias": NEIGHBOURS_ALIAS, "must_exist": False}} for name in old]
            self._client.indices.update_aliases(
                actions=[*removals, {"add": {"index": self._index, "alias": NEIGHBOURS_ALIAS}}],
            )

    def cleanup(self) -> None:
        """Delete the indices without the alias."""
        with elastic_errors("delete old neighbours"):
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
            "number_of_shards": self._settings.elasticsearch.shards,
            "number_of_replicas": self._settings.elasticsearch.replicas,
            "refresh_interval": "-1",
        }


@contextmanager
def elastic_errors(doing: str) -> Iterator[None]:
    """Raise what fails inside as TransientError (away, busy) or TerminalError (refused)."""
    try:
        yield
    except ApiError as error:
        message = f"{doing}: Elasticsearch answered {error.status_code} {error.message}"
        if error.status_code in BUSY:
            raise TransientError(message, "wait until Elasticsearch is less busy, then try again") from error
        raise TerminalError(message, "see Elasticsearch's log for what it refused") from error
    except TransportError as error:
        raise TransientError(
            f"{doing}: Elasticsearch does not answer ({type(error).__name__})", "see that it runs: ./showroom status"
        ) from error
    except helpers.BulkIndexError as error:
        first: Any = error.errors[0] if error.errors else {}
        raise TerminalError(
            f"{doing}: Elasticsearch refused {len(error.errors)} rows, the first: {str(first)[:300]}",
            "see Elasticsearch's log for what it refused",
        ) from error


def _require_count(actual: int, count: int, store: str) -> None:
    if actual != count:
        raise TransientError(
            f"{store} has {actual} staged neighbours instead of {count}",
            "check that no other run is active, then run the step again",
        )
