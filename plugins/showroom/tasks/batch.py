"""What a nightly run is about, decided once for all of its steps."""

import logging
import re
import shutil
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from airflow.providers.mongo.hooks.mongo import MongoHook

from include.archive.store import database
from include.clients.mongodb import translate_errors
from include.contracts.archive import LEDGERS
from include.contracts.errors import SettingsError
from include.contracts.settings import Settings
from include.ingest.intent import Intent, describe
from include.ingest.plan import Plan
from showroom.environment import batch_folder, settings
from showroom.verdicts import verdicts

RUNS = "runs"
LONGEST_NAME = 120
REPLAY = "replay:"

_log = logging.getLogger(__name__)


class Told(msgspec.Struct, frozen=True):
    """What counts here of an interval's ledger."""

    plans: list[Plan]
    intent: Intent


class Replayed(msgspec.Struct, frozen=True):
    """When the visits of a replayed log began; None where it held none."""

    first_started_at: datetime | None
    last_started_at: datetime | None

    def within(self, start: datetime, end: datetime) -> bool:
        """Whether one may have begun in a window."""
        first, last = self.first_started_at, self.last_started_at
        return first is not None and last is not None and first < end and last >= start


def plan_run(run_id: str, instant: datetime, params: Mapping[str, Any]) -> dict[str, Any]:
    """Window, folder and ceiling of a run, as its steps are told them; older runs' files are deleted."""
    with verdicts():
        current = settings()
        start, end = window_of(current, instant, params)
        folder = batch_folder(current) / RUNS / folder_name(run_id)
        folder.mkdir(parents=True, exist_ok=True)
        gone = prune(folder.parent, folder, current.nightly_runs)
        with MongoHook() as hook, translate_errors("read the ledgers"):
            ceiling = _ceiling(current, hook, start, end)
        _log.info("%s/%s in %s, %d older runs deleted", start, end, folder, gone)
        window = f"{start.isoformat()}/{end.isoformat()}"
        return {"window": window, "out": str(folder), "ceiling": ceiling}


def window_of(current: Settings, instant: datetime, params: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """The days before the last midnight at an instant, in UTC; or the window somebody asked for.

    `params`: `start` and `end`, ISO 8601. Raises SettingsError for an end that is not after its start.
    """
    midnight = _utc(instant.isoformat()).replace(hour=0, minute=0, second=0, microsecond=0)
    end = _utc(params["end"]) if params.get("end") else midnight
    start = _utc(params["start"]) if params.get("start") else end - timedelta(days=current.nightly_days)
    if start >= end:
        raise SettingsError(f"the window {start}/{end} is empty", "give a start before the end")
    return start, end


def folder_name(run_id: str) -> str:
    """A run's folder: its id, with nothing in it that means something in a path."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", run_id)[:LONGEST_NAME]


def prune(runs: Path, current: Path, keep: int) -> int:
    """Delete all but the newest `keep` runs' folders, never the current one; how many."""
    others = sorted((path for path in runs.iterdir() if path != current), key=lambda path: path.stat().st_mtime)
    gone = others[: max(0, len(others) + 1 - keep)]
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)
    return len(gone)


def ceiling_of(told: Iterable[Told], start: datetime, end: datetime) -> float | None:
    """Best ROC-AUC that any model can reach on the admitted sessions of intervals in a window; None without any.

    An interval counts as a whole when some of it lies in the window.
    """
    buckets: dict[int, tuple[int, int]] = {}
    for ledger in told:
        if any(plan.start < end and plan.end > start for plan in ledger.plans):
            for step, (sessions, purchases) in ledger.intent.buckets.items():
                before = buckets.get(int(step), (0, 0))
                buckets[int(step)] = (before[0] + sessions, before[1] + purchases)
    return describe(buckets).roc_auc_admitted


def _ceiling(current: Settings, hook: MongoHook, start: datetime, end: datetime) -> float | None:
    """The ceiling by the kept ledgers; None where a replayed log lies in the window, whose truth nobody knows."""
    found = {entry["_id"]: entry["ledger"] for entry in database(hook.get_conn(), current)[LEDGERS].find({})}
    logs = [msgspec.json.decode(text, type=Replayed) for name, text in found.items() if name.startswith(REPLAY)]
    if any(log.within(start, end) for log in logs):
        return None
    shops = (msgspec.json.decode(text, type=Told) for name, text in found.items() if not name.startswith(REPLAY))
    return ceiling_of(shops, start, end)


def _utc(text: str) -> datetime:
    """An instant as Python's own class: Airflow's loses its zone in `astimezone`. Without an offset it is UTC."""
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
