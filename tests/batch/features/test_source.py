"""Reading the archive: chunks, projections, and errors with their kind."""

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
    """Client, database and collection in one: finds by time or by id, and fails at the `breaks`-th request."""

    def __init__(self, documents: list[Document], failure: Exception | None = None, breaks: int = 1) -> None:
        self.documents, self.failure, self.breaks = documents, failure, breaks
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
        if self.failure and len(self.requests) >= self.breaks:
            raise self.failure
        if "_id" in query:
            return (one for one in self.documents if one["_id"] in query["_id"]["$in"])
        began = query["started_at"]
        return (one for one in self.documents if began["$gte"] <= one["started_at"] < began["$lt"])


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Any:
    def put(server: Server) -> Server:
        monkeypatch.setattr(source, "_client", lambda _: server)
        return server

    return put


def test_chunks_are_whole_but_for_the_last(serving: Any) -> None:
    documents = shop(23, 3)
    server = serving(Server(documents))
    results = list(source.stream(Settings(), WINDOW, PROJECTION, 10))
    assert [len(part) for part in results] == [10, 10, 3]
    assert [one for part in results for one in part] == documents
    began = {"started_at": {"$gte": WINDOW.start, "$lt": WINDOW.end}}
    assert server.requests[1] == (began, {"_id": 1}, 10)
    assert [request[1] for request in server.requests[2:]] == [dict(PROJECTION)] * 3
    assert server.closed == 1


def test_stretches_of_a_long_window_leave_nothing_out(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "IDS_PER_SLICE", 7)
    documents = [*shop(40, 3), document("s-first", started_at=WINDOW.start), document("s-after", started_at=WINDOW.end)]
    serving(Server(documents))
    results = [one["_id"] for part in source.stream(Settings(), WINDOW, PROJECTION, 5) for one in part]
    assert sorted(results) == sorted(one["_id"] for one in documents[:-1])


def test_an_empty_window_gives_no_chunk(serving: Any) -> None:
    serving(Server([]))
    assert list(source.stream(Settings(), WINDOW, PROJECTION, 10)) == []


@pytest.mark.parametrize(
    "failure",
    [
        AutoReconnect("gone"),
        ServerSelectionTimeoutError("nobody"),
        CursorNotFound("cursor id 7 not found", 43),
        OperationFailure("interrupted at shutdown", 11_600),
    ],
)
def test_a_read_that_breaks_may_be_tried_again(serving: Any, failure: Exception) -> None:
    server = serving(Server(shop(15, 3), failure, breaks=4))
    reading = source.stream(Settings(), WINDOW, PROJECTION, 10)
    assert len(next(reading)) == 10
    with pytest.raises(TransientError):
        next(reading)
    assert server.closed == 1


def test_a_refusal_is_final(serving: Any) -> None:
    serving(Server([], OperationFailure("not authorized", 13)))
    with pytest.raises(TerminalError, match="not authorized"):
        list(source.stream(Settings(), WINDOW, PROJECTION, 10))


def test_a_reader_who_stops_leaves_no_cursor(serving: Any) -> None:
    server = serving(Server(shop(30, 3)))
    reading = source.stream(Settings(), WINDOW, PROJECTION, 10)
    next(reading)
    reading.close()
    assert server.closed == 1


def test_reviews_are_asked_for_only_where_they_may_be_known() -> None:
    assert set(projection(reviews=True)) - set(projection(reviews=False)) == {"views.review"}
