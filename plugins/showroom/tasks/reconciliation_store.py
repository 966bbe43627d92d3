"""Reconciled hours and days in MongoDB."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pymongo
from pymongo.database import Database

from include.archive.store import Document, errors
from include.contracts.collections import RECONCILIATIONS
from include.supervise.due_hours import RAW_RETENTION, CountedHour
from include.supervise.reconcile import Evidence, Reconciliation, StageCount, State
from showroom.tasks.stage_counts import Counted, Minutes

MAX_ENTRIES = 2_000
"""Entries that a run reads, newest first: 80 days."""
DAY_ID = len("2026-11-23")
_STATE_FIELDS = ("state", "has_evidence", "balanced", "pending")


class ReconciliationStore:
    """The collection of results; every method raises the errors of `errors`."""

    def __init__(self, store: Database[Document]) -> None:
        self._collection = store[RECONCILIATIONS]

    def counted_hours(self) -> dict[datetime, CountedHour]:
        """Return the hours with an entry."""
        return {
            datetime.fromisoformat(entry["_id"]): CountedHour(_state(entry), bool(entry.get("has_evidence")))
            for entry in self._newest()
            if len(entry["_id"]) > DAY_ID
        }

    def closed_days(self) -> set[datetime]:
        """Return the days whose minutes have been compared."""
        return {
            datetime.fromisoformat(entry["_id"]).replace(tzinfo=UTC)
            for entry in self._newest()
            if len(entry["_id"]) == DAY_ID and _state(entry) == "balanced"
        }

    def summary(self) -> dict[str, int]:
        """Return how many entries are pending, and how many are unverifiable."""
        states = [_state(entry) for entry in self._newest()]
        return {"pending": states.count("pending"), "unverifiable": states.count("unverifiable")}

    def differing(self, now: datetime) -> list[Document]:
        """Return the entries with a difference that are recent enough to be counted again, oldest first."""
        since = f"{now - RAW_RETENTION:%Y-%m-%d}"
        with errors("read reconciliations"):
            return list(self._collection.find({"state": "difference", "_id": {"$gte": since}}).sort("_id", 1))

    def evidence(self, hour: datetime) -> Evidence | None:
        """Return the counts of Kafka that an earlier run has stored."""
        entry = self._get(hour.isoformat())
        if entry.get("owner") == "gate":  # counted again, otherwise a repair would stay invisible
            return None
        return msgspec.convert(entry["evidence"], Evidence) if entry.get("evidence") else None

    def bounds(self, day: datetime) -> dict[str, int] | None:
        """Return the ends of `kpi.minute` that an earlier run has stored for a day."""
        return self._get(f"{day:%Y-%m-%d}").get("bounds")

    def store_hour(self, counted: Counted) -> dict[str, Any]:
        """Store an hour; return it as plain data."""
        evidence = None if counted.evidence is None else msgspec.to_builtins(counted.evidence)
        plain = as_plain(counted.result) | {"missing": counted.examples}
        self._put(counted.result.hour.isoformat(), plain | {"evidence": evidence, "has_evidence": bool(evidence)})
        return plain

    def store_day(self, minutes: Minutes) -> dict[str, Any]:
        """Store the comparison of a day; return it as plain data."""
        plain = as_plain(minutes.result) | {"missing": {}}
        self._put(f"{minutes.result.hour:%Y-%m-%d}", plain | {"bounds": minutes.bounds})
        return plain

    def store_unverifiable(self, hours: list[datetime]) -> None:
        """Store these hours as unverifiable."""
        for hour in hours:
            plain = as_plain(Reconciliation(hour, ())) | {"state": "unverifiable", "balanced": False}
            self._put(hour.isoformat(), plain)

    @staticmethod
    def describe_difference(entry: Mapping[str, Any]) -> str:
        """Return the lines of an entry that differ, as one line."""
        texts = []
        for line in entry["lines"]:
            if line["mismatched"]:
                ids = ", ".join(entry.get("missing", {}).get(line["what"], []))
                texts.append(f"{line['name']}: {line['text']}" + (f" ({ids})" if ids else ""))
        return f"{entry['hour']}: {'; '.join(texts)}"

    def _newest(self) -> list[Document]:
        with errors("read reconciliations"):
            entries = self._collection.find({}, projection=list(_STATE_FIELDS))
            return list(entries.sort("_id", pymongo.DESCENDING).limit(MAX_ENTRIES))

    def _get(self, entry_id: str) -> Document:
        with errors("read a reconciliation"):
            return self._collection.find_one({"_id": entry_id}) or {}

    def _put(self, entry_id: str, entry: Mapping[str, Any]) -> None:
        with errors("store a reconciliation"):
            written = {**entry, "written_at": datetime.now(UTC)}
            self._collection.replace_one({"_id": entry_id}, written, upsert=True)


def as_plain(result: Reconciliation) -> dict[str, Any]:
    """Return a reconciliation as plain data, each line with its stage as name and its text."""
    return {
        "hour": result.hour.isoformat(),
        "state": result.state,
        "balanced": result.is_balanced,
        "pending": result.is_pending,
        "owner": result.first_mismatched_stage,
        "lines": [_plain_line(line) for line in result.lines],
    }


def _plain_line(line: StageCount) -> dict[str, Any]:
    derived = {"difference": line.difference, "mismatched": line.is_mismatched, "text": line.text}
    return {"name": line.stage, **msgspec.to_builtins(line), **derived}


def _state(entry: Mapping[str, Any]) -> State:
    """Return the state of an entry; those of earlier versions have none, and only a balanced one is closed."""
    if entry.get("state"):
        state: State = msgspec.convert(entry["state"], State)
        return state
    return "balanced" if entry.get("balanced") and not entry.get("pending") else "pending"
