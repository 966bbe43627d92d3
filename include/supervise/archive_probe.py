"""The probe of the archive: its watermarks in MongoDB, with a time limit."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pymongo
from bson.codec_options import CodecOptions

from include.contracts.collections import WATERMARKS, watermark_id
from include.contracts.settings import Settings
from include.contracts.topics import VALID
from include.supervise.observation import ArchiveState

TIMEOUT_MS = 2_000


def probe_archive(settings: Settings) -> ArchiveState:
    """Return the next offset of each partition, 0 before the first run. Raises PyMongoError."""
    names = {watermark_id(VALID, number): number for number in range(settings.kafka.partitions)}
    client: pymongo.MongoClient[Mapping[str, Any]] = pymongo.MongoClient(
        settings.mongodb.url.reveal(),
        appname="showroom-supervise",
        serverSelectionTimeoutMS=TIMEOUT_MS,
        connectTimeoutMS=TIMEOUT_MS,
        socketTimeoutMS=TIMEOUT_MS,
    )
    with client:
        options = CodecOptions[Mapping[str, Any]](tz_aware=True, tzinfo=UTC)
        progress = client[settings.mongodb.database].get_collection(WATERMARKS, codec_options=options)
        documents = list(progress.find({"_id": {"$in": list(names)}}))
    written = [at.timestamp() for document in documents if isinstance(at := document.get("written_at"), datetime)]
    return ArchiveState(
        offsets={names[document["_id"]]: int(document["offset"]) for document in documents},
        written_at=max(written, default=None),
    )
