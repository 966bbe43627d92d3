"""The stages' counts of one hour against each other."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from airflow.providers.mongo.hooks.mongo import MongoHook
from pymongo.database import Database

from include.archive import queries as archive
from include.archive.source import Source, describe
from include.archive.store import Document, database, errors
from include.contracts.archive import RECONCILIATIONS, progress_id
from include.contracts.errors import TerminalError
from include.contracts.settings import Settings
from include.contracts.topics import VALID
from include.serving import queries as serving
from include.serving.client import connect
from include.supervise.alert import Alarms
from include.supervise.events import difference, of_hour
from include.supervise.reconcile import Reconciliation, balance, count_hour
from showroom.environment import settings
from showroom.tasks.pipeline import tell
from showroom.verdicts import verdicts

HOUR = timedelta(hours=1)
ALARM = "reconcile.difference"
REMEDY = "see docs/runbooks/supervise.md, reconcile.difference"

_log = logging.getLogger(__name__)


def hour_before(instant: datetime, asked: str | None = None) -> datetime:
    """The start of the hour that had ended at an instant, in UTC; or of the hour somebody asked for."""
    if asked:
        return datetime.fromisoformat(asked).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - HOUR


def reconcile_hour(hour: datetime) -> dict[str, Any]:
    """Count one hour at every stage, keep the result, raise or clear the alarm; the result as plain data."""
    with verdicts(), MongoHook() as hook:
        current = settings()
        store = database(hook.get_conn(), current)
        with connect(current) as client:
            bounds = {"gte": hour.isoformat(), "lt": (hour + HOUR).isoformat()}
            indexed = serving.count(client, "session_summary", {"range": {"received_at": bounds}})
        archived = archive.count(store, hour, hour + HOUR)
        behind = _behind(current, store)
        found = balance(count_hour(current, hour, indexed, archived, behind))
        plain = as_plain(found)
        with errors("keep the reconciliation"):
            entry = {**plain, "written_at": datetime.now(UTC)}
            store[RECONCILIATIONS].replace_one({"_id": hour.isoformat()}, entry, upsert=True)
        held = archive.count(store)
        _alarm(found)
        # Of the hour, so that the same difference found again is the same alarm.
        wrong = [] if found.balanced else [difference(ALARM, _differs(found), found.hour)]
        tell(current, [*of_hour(found, held, behind, datetime.now(UTC)), *wrong])
        return plain


def as_plain(found: Reconciliation) -> dict[str, Any]:
    """A reconciliation as JSON has it, each line with its stage as name and its difference."""
    plain: dict[str, Any] = msgspec.to_builtins(found)
    shown = zip(plain["lines"], found.lines, strict=True)
    lines = [{"name": line.stage, **fields, "difference": line.difference} for fields, line in shown]
    return {**plain, "lines": lines}


def _behind(current: Settings, store: Database[Document]) -> int:
    """Records of sessions.valid that the archive has not read."""
    partitions = describe(current, VALID).partitions
    with Source(current, VALID, range(partitions)) as source:
        ends = source.ends()
    read = {mark.place: mark.offset for mark in archive.progress(store)}
    return sum(max(0, end - read.get(progress_id(VALID, partition), 0)) for partition, end in ends.items())


def require_balance(found: Mapping[str, Any]) -> None:
    """Fail for good where the stages' counts differ, with the stage that owns it; the hour is over."""
    for line in found["lines"]:
        _log.info("%s", line)
    with verdicts():
        if not found["balanced"]:
            differs = f"the counts of {found['hour']} differ, first at {found['owner']}"
            raise TerminalError(differs, REMEDY)


def _alarm(found: Reconciliation) -> None:
    """Raise or clear the alarm."""
    with Alarms(settings()) as alarms:
        if found.balanced:
            alarms.clear(ALARM)
        else:
            alarms.raise_(ALARM, f"{found.owner}: counts differ", _differs(found), REMEDY)


def _differs(found: Reconciliation) -> str:
    wrong = [f"{line.stage}: {line.found} {line.what}, not {line.expected}" for line in found.lines if line.wrong]
    return f"{found.hour:%Y-%m-%dT%HZ}: {'; '.join(wrong)}"
