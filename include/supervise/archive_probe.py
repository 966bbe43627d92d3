"""The probe of the archive: its watermarks in MongoDB, with a time limit."""

from datetime import UTC, datetime

from bson.codec_options import CodecOptions

from include.clients.mongodb import Document, connect
from include.contracts.collections import WATERMARKS, watermark_id
from include.contracts.settings import Settings
from include.contracts.topics import VALID
from include.supervise.observation import ArchiveState

TIMEOUT_MS = 2_000


def probe_archive(settings: Settings) -> ArchiveState:
    """Return the next offset of each partition, 0 before the first run. Raises PyMongoError.

    Raises TerminalError for an invalid address.
    """
    names = {watermark_id(VALID, number): number for number in range(settings.kafka.partitions)}
    with connect(
        settings.mongodb.url.reveal(),
        appname="showroom-supervise",
        server_selection_ms=TIMEOUT_MS,
        socket_ms=TIMEOUT_MS,
    ) as client:
        options = CodecOptions[Document](tz_aware=True, tzinfo=UTC)
        progress = client[settings.mongodb.database].get_collection(WATERMARKS, codec_options=options)
        documents = list(progress.find({"_id": {"$in": list(names)}}))
    written = [at.timestamp() for document in documents if isinstance(at := document.get("written_at"), datetime)]
    return ArchiveState(
        offsets={names[document["_id"]]: int(document["offset"]) for document in documents},
        written_at=max(written, default=None),
    )
