"""Decisions in MongoDB: written before the champion moves, confirmed after it has."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pymongo
from bson.codec_options import CodecOptions
from pymongo.collection import Collection

from include.batch.features.source import ANSWER_MS, CONNECT_MS, Document, errors
from include.contracts.collections import PROMOTIONS
from include.contracts.settings import Settings


def decision_id(name: str, key: str) -> str:
    """The `_id` of the decision on a registered name in one run."""
    return f"{name}:{key}"


@contextmanager
def open_decisions(settings: Settings) -> Iterator[Collection[Document]]:
    """The collection; what it acknowledges is on disk. Raises TransientError where MongoDB is away."""
    with (
        errors("open the decisions"),
        pymongo.MongoClient[Document](
            settings.mongodb.url.reveal(),
            appname="showroom-batch",
            serverSelectionTimeoutMS=CONNECT_MS,
            # Also the patience of the client's heartbeat, which the local stand-in answers only between commands.
            connectTimeoutMS=ANSWER_MS,
            socketTimeoutMS=ANSWER_MS,
        ) as client,
    ):
        yield client[settings.mongodb.database].get_collection(
            PROMOTIONS,
            codec_options=CodecOptions(tz_aware=True),
            write_concern=pymongo.WriteConcern(w="majority", j=True),
        )


def stored(records: Collection[Document], name: str, key: str) -> Document | None:
    """The decision of an earlier try of the same run, None where there is none."""
    with errors("read a decision"):
        return records.find_one({"_id": decision_id(name, key)})


def store(records: Collection[Document], name: str, key: str, decided: dict[str, Any], at: datetime) -> None:
    """Write a decision that is not in force yet, over the one of an earlier try."""
    document = {"_id": decision_id(name, key), **decided, "decided_at": at, "confirmed": False}
    with errors("store a decision"):
        records.replace_one({"_id": document["_id"]}, document, upsert=True)


def confirm(records: Collection[Document], name: str, key: str) -> None:
    """Say that the decision is in force."""
    with errors("confirm a decision"):
        records.update_one({"_id": decision_id(name, key)}, {"$set": {"confirmed": True}})
