"""Streaming sessions from MongoDB: chunks, projections and errors."""

from collections.abc import Iterator
from typing import Any

import pytest
from pymongo.errors import AutoReconnect, CursorNotFound, OperationFailure, ServerSelectionTimeoutError

from include.batch.features import source
from include.batch.features.columns import PROJECTION, projection
from include.contracts.errors import TerminalError, TransientError
from include.contracts.settings import Settings
from tests.batch.documents import WINDOW, Document, document, shop


class Server:
    """Fake client, database and collection: finds by time or by id, and fails at the `fails_at`-th request."""

    def __init__(self, documents: list[Document], failure: Exception | None = None, fails_at: int = 1) -> None:
        self.documents, self.failure, self.fails_at = documents, failure, fails_at
        self.requests: list[tuple[Any, ...]] = []
        self.closed = 0

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.closed += 1

    def __getitem__(self, name: str) -> "Server":
        return self

    def get_collection(self, name: str, codec_options: object) -> "Server":
        return self

    def command(self, name: str, collection: str, query: Any) -> Document:
        return {"n": len(list(self.find(query, {}, 0)))}

    def find(self, query: Any, projection: Any, batch_size: int) -> Iterator[Document]:
        self.requests.append((query, projection, batch_size))
        if self.failure and len(self.requests) >= self.fails_at:
            raise self.failure
        if "_id" in query:
            return (entry for entry in self.documents if entry["_id"] in query["_id"]["$in"])
        began = query["started_at"]
        return (entry for entry in self.documents if began["$gte"] <= entry["started_at"] < began["$lt"])


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Any:
    def put(server: Server) -> Server:
        monkeypatch.setattr(source, "_client", lambda _: server)
        return server

    return put


def test_stream_yields_full_chunks_except_the_last(serving: Any) -> None:
    documents = shop(23, 3)
    server = serving(Server(documents))
    results = list(source.stream(Settings().mongodb, WINDOW, PROJECTION, 10))
    assert [len(part) for part in results] == [10, 10, 3]
    assert [entry for part in results for entry in part] == documents
    began = {"started_at": {"$gte": WINDOW.start, "$lt": WINDOW.end}}
    assert server.requests[1] == (began, {"_id": 1}, 10)
    assert [request[1] for request in server.requests[2:]] == [dict(PROJECTION)] * 3
    assert server.closed == 1


def test_stream_in_slices_yields_every_session(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "IDS_PER_SLICE", 7)
    documents = [*shop(40, 3), document("s-first", started_at=WINDOW.start), document("s-after", started_at=WINDOW.end)]
    serving(Server(documents))
    results = [entry["_id"] for part in source.stream(Settings().mongodb, WINDOW, PROJECTION, 5) for entry in part]
    assert sorted(results) == sorted(entry["_id"] for entry in documents[:-1])


def test_stream_of_an_empty_window_yields_no_chunk(serving: Any) -> None:
    serving(Server([]))
    assert list(source.stream(Settings().mongodb, WINDOW, PROJECTION, 10)) == []


@pytest.mark.parametrize(
    "failure",
    [
        AutoReconnect("connection closed"),
        ServerSelectionTimeoutError("timeout"),
        CursorNotFound("cursor id 7 not found", 43),
        OperationFailure("interrupted at shutdown", 11_600),
    ],
)
def test_stream_with_a_lost_connection_raises_transient_error(serving: Any, failure: Exception) -> None:
    server = serving(Server(shop(15, 3), failure, fails_at=4))
    reading = source.stream(Settings().mongodb, WINDOW, PROJECTION, 10)
    assert len(next(reading)) == 10
    with pytest.raises(TransientError):
        next(reading)
    assert server.closed == 1


def test_stream_with_a_rejected_query_raises_terminal_error(serving: Any) -> None:
    serving(Server([], OperationFailure("not authorized", 13)))
    with pytest.raises(TerminalError, match="not authorized"):
        list(source.stream(Settings().mongodb, WINDOW, PROJECTION, 10))


def test_stream_closed_early_closes_the_client(serving: Any) -> None:
    server = serving(Server(shop(30, 3)))
    reading = source.stream(Settings().mongodb, WINDOW, PROJECTION, 10)
    next(reading)
    reading.close()
    assert server.closed == 1


def test_projection_contains_reviews_only_if_enabled() -> None:
    assert set(projection(reviews=True)) - set(projection(reviews=False)) == {"views.review"}
