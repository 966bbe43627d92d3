"""Stream archived sessions from MongoDB: projected fields only, without sorting or grouping on the server."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from bson.codec_options import CodecOptions
from pymongo.collection import Collection

from include.batch.window import Window
from include.clients import mongodb
from include.clients.mongodb import Document
from include.contracts.collections import SESSIONS
from include.contracts.settings import MongodbSettings

CONNECT_MS = 5_000
ANSWER_MS = 120_000
IDS_PER_SLICE = 250_000
"""Average number of ids per time slice."""

IDS_PER_QUERY = 200
"""Maximum ids per query, because the local stand-in compares each document with all ids of the query."""


def stream(
    settings: MongodbSettings, window: Window, projection: Mapping[str, int], chunk: int
) -> Generator[list[Document], None, None]:
    """Yield the sessions that began in the window, up to `chunk` at a time, unordered.

    Times are timezone-aware, in UTC. An error in the middle of a read raises; discard the chunks read before it.

    Raises:
        TransientError: MongoDB is unavailable or busy, or it lost the cursor.
        TerminalError: MongoDB rejected the request.
    """
    with mongodb.translate_errors("read sessions"), _client(settings) as client:
        database = client[settings.database]
        sessions = database.get_collection(SESSIONS, codec_options=CodecOptions(tz_aware=True, tzinfo=UTC))
        # Not count_documents, because its pipeline makes the local stand-in load every document into memory.
        count = int(database.command("count", SESSIONS, query=_began(window.start, window.end))["n"])
        for start, end in _slices(window, -(-count // IDS_PER_SLICE)):
            # Read the ids of a slice first, then documents by id, because the local stand-in indexes only ids and
            # loads a whole response into memory.
            ids = [document["_id"] for document in sessions.find(_began(start, end), {"_id": 1}, batch_size=chunk)]
            for start_index in range(0, len(ids), chunk):
                yield [*_by_id(sessions, ids[start_index : start_index + chunk], projection)]


def _by_id(sessions: Collection[Document], ids: Sequence[str], projection: Mapping[str, int]) -> Iterator[Document]:
    for at in range(0, len(ids), IDS_PER_QUERY):
        yield from sessions.find(
            {"_id": {"$in": list(ids[at : at + IDS_PER_QUERY])}}, dict(projection), batch_size=IDS_PER_QUERY
        )


def _began(start: datetime, end: datetime) -> Document:
    return {"started_at": {"$gte": start, "$lt": end}}


def _slices(window: Window, parts: int) -> Iterator[tuple[datetime, datetime]]:
    """Split the window into equal slices without gap or overlap."""
    width = (window.end - window.start) / max(parts, 1)
    cuts = [window.start + width * part for part in range(parts)] + [window.end]
    return pairwise(cuts)


def _client(settings: MongodbSettings) -> mongodb.Client:
    return mongodb.connect(
        settings.url.reveal(), appname="showroom-batch", server_selection_ms=CONNECT_MS, socket_ms=ANSWER_MS
    )
