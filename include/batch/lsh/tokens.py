"""Users as sets of namespaced tokens of their visits, such as `product:p01` and `device:mobile`."""

import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha1
from typing import Any

import numpy as np
from numpy.typing import NDArray

from include.batch.features.timezones import offset_hours
from include.batch.lsh.sets import Sets
from include.batch.lsh.signatures import Hashes
from include.batch.parameters import Token

Document = Mapping[str, Any]

PROJECTION: dict[str, int] = {
    "_id": 0,
    "user_id": 1,
    "started_at": 1,
    "views.product_id": 1,
    "views.category": 1,
    "device.type": 1,
    "referrer": 1,
    "location.country": 1,
    "location.state": 1,
}
"""All fields that are read from MongoDB; none depends on the outcome."""

UNKNOWN_VALUES = (None, "", "unknown", "not_collected")
"""Values that mean "unknown"; two users with unknown values are not similar."""

PARTS = ("night", "morning", "afternoon", "evening")
MERGE_AT = 4_000_000


@dataclass(frozen=True)
class Users:
    """n users, sorted by id, with the token numbers of each; `tokens` are sorted alphabetically."""

    ids: list[str]
    tokens: list[str]
    sets: Sets
    sessions: int

    @property
    def hashes(self) -> Hashes:
        """(tokens,) 32-bit hashes, as datasketch takes them: the first four bytes of SHA-1, little-endian."""
        return np.array([int.from_bytes(sha1(text.encode()).digest()[:4], "little") for text in self.tokens], np.uint32)


def tokens_of(document: Document, kinds: Sequence[Token]) -> Iterator[str]:
    """Yield the tokens of one visit, with duplicates. The part of the day is local, or UTC without a location."""
    for kind in kinds:
        for value in _VALUES[kind](document):
            if value not in UNKNOWN_VALUES:
                yield f"{kind}:{value}"


def gather(chunks: Iterable[Sequence[Document]], kinds: Sequence[Token]) -> Users:
    """Collect the tokens of all users over all visits, in any order.

    Memory: each user id, each token, and 8 bytes for each distinct (user, token) pair and for the last `MERGE_AT`
    pairs.
    """
    users: dict[str, int] = {}
    tokens: dict[str, int] = {}
    merged = np.zeros(0, np.int64)
    unmerged = array("q")
    sessions = 0
    for chunk in chunks:
        sessions += len(chunk)
        for document in chunk:
            user = users.setdefault(document["user_id"], len(users)) << 32
            unmerged.extend(user | tokens.setdefault(text, len(tokens)) for text in tokens_of(document, kinds))
        if len(unmerged) > MERGE_AT:
            merged, unmerged = np.union1d(merged, np.frombuffer(unmerged, np.int64)), array("q")
    merged = np.union1d(merged, np.frombuffer(unmerged, np.int64))
    names, user_at = _sorted(users)
    texts, token_at = _sorted(tokens)
    sets = Sets.from_pairs(user_at[merged >> 32], token_at[merged & 0xFFFFFFFF], len(names), len(texts))
    return Users(names, texts, sets, sessions)


def _sorted(numbered: Mapping[str, int]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the sorted texts, and the new position of each number."""
    order = sorted(numbered)
    positions = np.empty(len(order), np.int64)
    positions[[numbered[text] for text in order]] = np.arange(len(order))
    return order, positions


def _views(field: str) -> Callable[[Document], list[Any]]:
    return lambda document: [view.get(field) for view in document.get("views") or ()]


def _part_of_day(document: Document) -> list[str]:
    started: datetime = document["started_at"]
    position = document.get("location") or {}
    hours = offset_hours(position.get("country"), position.get("state"))
    local = started if math.isnan(hours) else started + timedelta(hours=hours)
    return [PARTS[local.hour // 6]]


_VALUES: dict[Token, Callable[[Document], Sequence[Any]]] = {
    "product": _views("product_id"),
    "category": _views("category"),
    "device": lambda document: [(document.get("device") or {}).get("type")],
    "referrer": lambda document: [document.get("referrer")],
    "state": lambda document: [(document.get("location") or {}).get("state")],
    "part_of_day": _part_of_day,
}
