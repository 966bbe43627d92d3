"""Reconciled hours and days as MongoDB keeps them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pymongo
from pymongo.database import Database

from include.clients.mongodb import Document, translate_errors
from include.contracts.archive import RECONCILIATIONS
from include.supervise.due import RAW_KEPT, Known
from include.supervise.reconcile import Evidence, Line, Reconciliation, State
from showroom.tasks.account import Counted, Minutes

MAX_KNOWN = 2_000
"""Entries that a run looks at, newest first: 80 days."""
DAY_ID = len("2026-11-23")
_SHOWN = ("state", "has_evidence", "balanced", "pending")


class Entries:
    """The collection of results; every method raises as `errors` does."""

    def __init__(self, store: Database[Document]) -> None:
        self._collection = store[RECONCILIATIONS]

    def known(self) -> dict[datetime, Known]:
        """Hours with an entry."""
        return {
            datetime.fromisoformat(entry["_id"]): Known(_state(entry), bool(entry.get("has_evidence")))
            for entry in self._newest()
            if len(entry["_id"]) > DAY_ID
        }

    def closed_days(self) -> set[datetime]:
        """Days whose minutes have been compared."""
        return {
            datetime.fromisoformat(entry["_id"]).replace(tzinfo=UTC)
            for entry in self._newest()
            if len(entry["_id"]) == DAY_ID and _state(entry) == "balanced"
        }

    def summary(self) -> dict[str, int]:
        """How many entries are not closed, and how many never will be."""
        states = [_state(entry) for entry in self._newest()]
        return {"pending": states.count("pending"), "unverifiable": states.count("unverifiable")}

    def differing(self, now: datetime) -> list[Document]:
        """Entries with a difference that is recent enough to be looked at again, oldest first."""
        since = f"{now - RAW_KEPT:%Y-%m-%d}"
        with translate_errors("read reconciliations"):
            found = self._collection.find({"state": "difference", "_id": {"$gte": since}}).sort("_id", 1)
            return list(found)

    def evidence(self, hour: datetime) -> Evidence | None:
        """What an earlier run has read of Kafka."""
        found = self._get(hour.isoformat())
        if found.get("owner") == "gate":  # read anew, or a repair would not be seen
            return None
        return msgspec.convert(found["evidence"], Evidence) if found.get("evidence") else None

    def bounds(self, day: datetime) -> dict[str, int] | None:
        """The ends of `kpi.minute` that an earlier run has noted for a day."""
        return self._get(f"{day:%Y-%m-%d}").get("bounds")

    def keep_hour(self, counted: Counted) -> dict[str, Any]:
        """Store an hour; the same as plain data, as people read it."""
        evidence = None if counted.evidence is None else msgspec.to_builtins(counted.evidence)
        plain = as_plain(counted.result) | {"missing": counted.examples}
        self._put(counted.result.hour.isoformat(), plain | {"evidence": evidence, "has_evidence": bool(evidence)})
        return plain

    def keep_day(self, minutes: Minutes) -> dict[str, Any]:
        """Store the comparison of a day."""
        plain = as_plain(minutes.result) | {"missing": {}}
        self._put(f"{minutes.result.hour:%Y-%m-%d}", plain | {"bounds": minutes.bounds})
        return plain

    def keep_unverifiable(self, hours: list[datetime]) -> None:
        """Store that nobody can count these hours any more."""
        for hour in hours:
            plain = as_plain(Reconciliation(hour, ())) | {"state": "unverifiable", "balanced": False}
            self._put(hour.isoformat(), plain)

    @staticmethod
    def differs(entry: Mapping[str, Any]) -> str:
        """The lines of an entry that differ, as one line for people."""
        texts = []
        for line in entry["lines"]:
            if line["wrong"]:
                ids = ", ".join(entry.get("missing", {}).get(line["what"], []))
                texts.append(f"{line['name']}: {line['text']}" + (f" ({ids})" if ids else ""))
        return f"{entry['hour']}: {'; '.join(texts)}"

    def _newest(self) -> list[Document]:
        with translate_errors("read reconciliations"):
            found = self._collection.find({}, projection=list(_SHOWN))
            return list(found.sort("_id", pymongo.DESCENDING).limit(MAX_KNOWN))

    def _get(self, identity: str) -> Document:
        with translate_errors("read a reconciliation"):
            return self._collection.find_one({"_id": identity}) or {}

    def _put(self, identity: str, entry: Mapping[str, Any]) -> None:
        with translate_errors("keep a reconciliation"):
            written = {**entry, "written_at": datetime.now(UTC)}
            self._collection.replace_one({"_id": identity}, written, upsert=True)


def as_plain(found: Reconciliation) -> dict[str, Any]:
    """A reconciliation as JSON has it, each line with its stage as name and its text."""
    return {
        "hour": found.hour.isoformat(),
        "state": found.state,
        "balanced": found.balanced,
        "pending": found.pending,
        "owner": found.owner,
        "lines": [_plain_line(line) for line in found.lines],
    }


def _plain_line(line: Line) -> dict[str, Any]:
    derived = {"difference": line.difference, "wrong": line.wrong, "text": line.text}
    return {"name": line.stage, **msgspec.to_builtins(line), **derived}


def _state(entry: Mapping[str, Any]) -> State:
    """The state of an entry; those of earlier versions have none, and only a balanced one is closed."""
    if entry.get("state"):
        state: State = msgspec.convert(entry["state"], State)
        return state
    return "balanced" if entry.get("balanced") and not entry.get("pending") else "pending"
