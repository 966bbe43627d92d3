"""Promotion decisions in MongoDB: stored before the alias champion moves, confirmed afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pymongo
from bson.codec_options import CodecOptions
from pymongo.collection import Collection

from include.batch.features.source import ANSWER_MS, CONNECT_MS
from include.clients.mongodb import Document, connect, translate_errors
from include.contracts.collections import PROMOTIONS
from include.contracts.settings import MongodbSettings


def decision_id(name: str, key: str) -> str:
    """Return the `_id` of the decision on a registered name in one run."""
    return f"{name}:{key}"


@contextmanager
def open_decisions(settings: MongodbSettings) -> Iterator[Collection[Document]]:
    """Open the collection of decisions; acknowledged writes are on disk.

    Raises:
        TransientError: MongoDB is unavailable.
    """
    with (
        translate_errors("open the decisions"),
        connect(
            settings.url.reveal(),
            appname="showroom-batch",
            server_selection_ms=CONNECT_MS,
            socket_ms=ANSWER_MS,
        ) as client,
    ):
        yield client[settings.database].get_collection(
            PROMOTIONS,
            codec_options=CodecOptions(tz_aware=True),
            write_concern=pymongo.WriteConcern(w="majority", j=True),
        )


def find_decision(records: Collection[Document], name: str, key: str) -> Document | None:
    """Return the decision of an earlier attempt of the same run; None if there is none."""
    with translate_errors("read a decision"):
        return records.find_one({"_id": decision_id(name, key)})


def store(records: Collection[Document], name: str, key: str, decided: dict[str, Any], at: datetime) -> None:
    """Store an unconfirmed decision; it replaces the decision of an earlier attempt."""
    document = {"_id": decision_id(name, key), **decided, "decided_at": at, "confirmed": False}
    with translate_errors("store a decision"):
        records.replace_one({"_id": document["_id"]}, document, upsert=True)


def confirm(records: Collection[Document], name: str, key: str) -> None:
    """Mark the decision as confirmed."""
    with translate_errors("confirm a decision"):
        records.update_one({"_id": decision_id(name, key)}, {"$set": {"confirmed": True}})
