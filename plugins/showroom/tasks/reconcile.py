"""The stages' counts of every hour against each other; what is not closed is counted again by the next run."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow.providers.mongo.hooks.mongo import MongoHook
from pymongo.database import Database

from include.archive import queries as archive
from include.archive.lag import database_lag
from include.archive.store import database
from include.clients.elasticsearch import connect
from include.clients.mongodb import Document
from include.contracts.errors import ShowroomError, TerminalError
from include.contracts.settings import Settings
from include.supervise.due import floor, require_countable
from include.supervise.events import of_archive
from showroom.environment import settings
from showroom.tasks.entries import Entries
from showroom.tasks.pipeline import tell
from showroom.tasks.run import REMEDY, Run
from showroom.tasks.stores import Stores
from showroom.verdicts import verdicts

_log = logging.getLogger(__name__)


def asked_hour(asked: str | None) -> datetime | None:
    """The start of the hour that somebody asked for, in UTC."""
    return floor(datetime.fromisoformat(asked).astimezone(UTC)) if asked else None


def reconcile_hours(now: datetime, asked: datetime | None = None) -> dict[str, Any]:
    """Count all hours that are due, or one; keep the results, raise or clear the alarm.

    Args:
        now: the time of the run; hours that have ended by then are due.
        asked: count only this hour, anew.

    Returns:
        The hours as plain data, oldest first, and how many are `pending` and `unverifiable` after this run.
    """
    with verdicts(), MongoHook() as hook:
        if asked:
            require_countable(now, asked)
        current = settings()
        store = database(hook.get_conn(), current)
        with connect(current) as client:
            run = Run(current, Stores(current, client, store, now), Entries(store))
            hours = [run.hour(asked, anew=True)] if asked else run.due(now)
        _tell_archive(current, store)
        run.alarm(now)
        return {"hours": hours, **run.entries.summary()}


def require_balance(found: Mapping[str, Any]) -> None:
    """Fail for good where an hour of this run differs, with the stage that owns it."""
    differing = [hour for hour in found["hours"] if hour["state"] == "difference"]
    with verdicts():
        if differing:
            text = "; ".join(Entries.differs(hour) for hour in differing)
            raise TerminalError(
                f"reconciliation failed: counts differ, first at {differing[0]['owner']}: {text}", REMEDY
            )


def _tell_archive(current: Settings, store: Database[Document]) -> None:
    try:
        held, lag = archive.count(store), sum(database_lag(current, store).values())
    except ShowroomError as error:
        _log.warning("the archive's lag is not stored: %s", error)
        return
    tell(current, of_archive(held, lag, datetime.now(UTC)))
