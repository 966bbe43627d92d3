"""Plan a nightly run: window, folder and oracle AUC, once for all of its steps."""

import logging
import re
import shutil
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from airflow.providers.mongo.hooks.mongo import MongoHook

from include.archive.store import database, errors
from include.contracts.collections import LEDGERS
from include.contracts.errors import SettingsError
from include.contracts.settings import Settings
from include.ingest.plan import Plan
from include.ingest.purchase_model import Intent, describe
from showroom.fail_fast import fail_fast_on_terminal
from showroom.settings import batch_runs_dir, load_settings

RUNS = "runs"
MAX_NAME_LENGTH = 120
REPLAY = "replay:"

_log = logging.getLogger(__name__)


class IntervalLedger(msgspec.Struct, frozen=True):
    """The fields of an interval's ledger that determine the oracle AUC."""

    plans: list[Plan]
    intent: Intent


class ReplayLedger(msgspec.Struct, frozen=True):
    """First and last start time of the visits in a replayed log; None for an empty log."""

    first_started_at: datetime | None
    last_started_at: datetime | None

    def within(self, start: datetime, end: datetime) -> bool:
        """Whether a visit may have started in a window."""
        first, last = self.first_started_at, self.last_started_at
        return first is not None and last is not None and first < end and last >= start


def plan_run(run_id: str, instant: datetime, params: Mapping[str, Any]) -> dict[str, Any]:
    """Plan a run: its window, its folder and its oracle AUC. Delete the folders of old runs."""
    with fail_fast_on_terminal():
        current = load_settings()
        start, end = window_of(current, instant, params)
        folder = batch_runs_dir(current) / RUNS / folder_name(run_id)
        folder.mkdir(parents=True, exist_ok=True)
        deleted = prune(folder.parent, folder, current.batch.runs_retained)
        with MongoHook() as hook, errors("read the ledgers"):
            oracle_auc = _oracle_auc_from_ledgers(current, hook, start, end)
        _log.info("%s/%s in %s, %d older runs deleted", start, end, folder, deleted)
        window = f"{start.isoformat()}/{end.isoformat()}"
        return {"window": window, "out": str(folder), "oracle_auc": oracle_auc}


def window_of(current: Settings, instant: datetime, params: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """The days before the last midnight (UTC), or the window in `params`.

    `params`: `start` and `end`, ISO 8601. Raises SettingsError for an end that is not after its start.
    """
    midnight = _utc(instant.isoformat()).replace(hour=0, minute=0, second=0, microsecond=0)
    end = _utc(params["end"]) if params.get("end") else midnight
    start = _utc(params["start"]) if params.get("start") else end - timedelta(days=current.batch.window_days)
    if start >= end:
        raise SettingsError(f"the window {start}/{end} is empty", "give a start before the end")
    return start, end


def folder_name(run_id: str) -> str:
    """The name of a run's folder: its id without characters that have a meaning in a path."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", run_id)[:MAX_NAME_LENGTH]


def prune(runs: Path, current: Path, keep: int) -> int:
    """Delete all but the newest `keep` run folders, never the current one; return the number deleted."""
    others = sorted((path for path in runs.iterdir() if path != current), key=lambda path: path.stat().st_mtime)
    old = others[: max(0, len(others) + 1 - keep)]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return len(old)


def combined_oracle_auc(ledgers: Iterable[IntervalLedger], start: datetime, end: datetime) -> float | None:
    """Best ROC-AUC that any model can reach on the admitted sessions of the intervals in a window; None without any.

    An interval counts as a whole when a part of it is in the window.
    """
    buckets: dict[int, tuple[int, int]] = {}
    for ledger in ledgers:
        if any(plan.start < end and plan.end > start for plan in ledger.plans):
            for step, (sessions, purchases) in ledger.intent.buckets.items():
                before = buckets.get(int(step), (0, 0))
                buckets[int(step)] = (before[0] + sessions, before[1] + purchases)
    return describe(buckets).roc_auc_admitted


def _oracle_auc_from_ledgers(current: Settings, hook: MongoHook, start: datetime, end: datetime) -> float | None:
    """The oracle AUC from the stored ledgers; None with a replayed log in the window: its truth is unknown."""
    ledgers = {entry["_id"]: entry["ledger"] for entry in database(hook.get_conn(), current)[LEDGERS].find({})}
    logs = [msgspec.json.decode(text, type=ReplayLedger) for name, text in ledgers.items() if name.startswith(REPLAY)]
    if any(log.within(start, end) for log in logs):
        return None
    synthetic = (
        msgspec.json.decode(text, type=IntervalLedger) for name, text in ledgers.items() if not name.startswith(REPLAY)
    )
    return combined_oracle_auc(synthetic, start, end)


def _utc(text: str) -> datetime:
    """Parse an instant as Python's datetime, because Airflow's loses its zone in `astimezone`; the default is UTC."""
    instant = datetime.fromisoformat(text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
