"""Plan a nightly run: window, folder and oracle AUC, shared by all of its steps."""

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
from include.contracts.collections import LEDGERS
from include.contracts.errors import SettingsError
from include.contracts.settings import BatchSettings, MongodbSettings
from include.ingest.plan import Plan
from include.ingest.purchase_model import Intent, describe
from showroom.fail_fast import fail_fast_on_terminal
from showroom.settings import batch_runs_dir, load_settings

RUNS = "runs"
MAX_FOLDER_NAME_CHARS = 120
REPLAY_PREFIX = "replay:"

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
        """Return whether a visit may have started in a window."""
        first, last = self.first_started_at, self.last_started_at
        return first is not None and last is not None and first < end and last >= start


def plan_run(run_id: str, instant: datetime, params: Mapping[str, Any]) -> dict[str, Any]:
    """Plan a run and delete the folders of old runs.

    Returns:
        `window`, `out` and `oracle_auc` of the run.
    """
    with fail_fast_on_terminal():
        settings = load_settings()
        start, end = window_of(settings.batch, instant, params)
        folder = batch_runs_dir(settings) / RUNS / folder_name(run_id)
        folder.mkdir(parents=True, exist_ok=True)
        deleted = prune(folder.parent, folder, settings.batch.runs_retained)
        with MongoHook() as hook, translate_errors("read the ledgers"):
            oracle_auc = _oracle_auc_from_ledgers(settings.mongodb, hook, start, end)
        _log.info("%s/%s in %s, %d older runs deleted", start, end, folder, deleted)
        window = f"{start.isoformat()}/{end.isoformat()}"
        return {"window": window, "out": str(folder), "oracle_auc": oracle_auc}


def window_of(settings: BatchSettings, instant: datetime, params: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Return the days before the last midnight (UTC), or the window in `params`.

    Args:
        settings: length of the default window.
        instant: time of the run.
        params: `start` and `end` in ISO 8601, or None.

    Raises:
        SettingsError: the end is not after the start.
    """
    midnight = _utc(instant.isoformat()).replace(hour=0, minute=0, second=0, microsecond=0)
    end = _utc(params["end"]) if params.get("end") else midnight
    start = _utc(params["start"]) if params.get("start") else end - timedelta(days=settings.window_days)
    if start >= end:
        raise SettingsError(f"the window {start}/{end} is empty", "give a start that is before the end")
    return start, end


def folder_name(run_id: str) -> str:
    """Return the name of a run's folder: its id without characters that have a meaning in a path."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", run_id)[:MAX_FOLDER_NAME_CHARS]


def prune(runs: Path, current: Path, keep: int) -> int:
    """Delete all but the newest `keep` run folders, never the current one; return the number deleted."""
    others = sorted((path for path in runs.iterdir() if path != current), key=lambda path: path.stat().st_mtime)
    old = others[: max(0, len(others) + 1 - keep)]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return len(old)


def combined_oracle_auc(ledgers: Iterable[IntervalLedger], start: datetime, end: datetime) -> float | None:
    """Return the best ROC-AUC that any model can reach on the admitted sessions of a window.

    An interval counts as a whole when a part of it is in the window. The result is None without an interval in the
    window.
    """
    buckets: dict[int, tuple[int, int]] = {}
    for ledger in ledgers:
        if any(plan.start < end and plan.end > start for plan in ledger.plans):
            for step, (sessions, purchases) in ledger.intent.buckets.items():
                before = buckets.get(int(step), (0, 0))
                buckets[int(step)] = (before[0] + sessions, before[1] + purchases)
    return describe(buckets).roc_auc_admitted


def _oracle_auc_from_ledgers(
    settings: MongodbSettings, hook: MongoHook, start: datetime, end: datetime
) -> float | None:
    """Return the oracle AUC from the stored ledgers.

    It is None with a replayed log in the window, because the log has no ground truth.
    """
    ledgers = {entry["_id"]: entry["ledger"] for entry in database(hook.get_conn(), settings)[LEDGERS].find({})}
    logs = [
        msgspec.json.decode(text, type=ReplayLedger) for name, text in ledgers.items() if name.startswith(REPLAY_PREFIX)
    ]
    if any(log.within(start, end) for log in logs):
        return None
    synthetic = (
        msgspec.json.decode(text, type=IntervalLedger)
        for name, text in ledgers.items()
        if not name.startswith(REPLAY_PREFIX)
    )
    return combined_oracle_auc(synthetic, start, end)


def _utc(text: str) -> datetime:
    """Parse an instant as Python's datetime, because Airflow's loses its zone in `astimezone`; the default is UTC."""
    instant = datetime.fromisoformat(text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
