"""Reconcile the counts of all stages hour by hour; open hours are counted again by the next run."""

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
from include.supervise.due_hours import floor, require_countable
from include.supervise.events import events_from_archive
from showroom.fail_fast import fail_fast_on_terminal
from showroom.settings import load_settings
from showroom.tasks.pipeline import index_events
from showroom.tasks.reconciliation_run import REMEDY, ReconciliationRun
from showroom.tasks.reconciliation_store import ReconciliationStore
from showroom.tasks.stores import Stores

_log = logging.getLogger(__name__)


def parse_hour(hour: str | None) -> datetime | None:
    """Return the start of the requested hour in UTC, None without a request."""
    return floor(datetime.fromisoformat(hour).astimezone(UTC)) if hour else None


def reconcile_hours(now: datetime, requested: datetime | None = None) -> dict[str, Any]:
    """Count all hours that are due, or one; store the results, fire or resolve the alert.

    Args:
        now: The time of the run; hours that have ended by then are due.
        requested: Count only this hour, again from Kafka.

    Returns:
        The hours as plain data, oldest first, and how many are `pending` and `unverifiable` after this run.
    """
    with fail_fast_on_terminal(), MongoHook() as hook:
        if requested:
            require_countable(now, requested)
        settings = load_settings()
        store = database(hook.get_conn(), settings.mongodb)
        with connect(settings.elasticsearch) as client:
            run = ReconciliationRun(settings, Stores(settings, client, store, now), ReconciliationStore(store))
            hours = [run.hour(requested, again=True)] if requested else run.due(now)
        _index_archive_lag(settings, store)
        run.update_alert(now)
        return {"hours": hours, **run.store.summary()}


def require_balance(result: Mapping[str, Any]) -> None:
    """Fail without a retry if an hour of this run differs; the message names the first mismatched stage."""
    differing = [hour for hour in result["hours"] if hour["state"] == "difference"]
    with fail_fast_on_terminal():
        if differing:
            text = "; ".join(ReconciliationStore.describe_difference(hour) for hour in differing)
            raise TerminalError(
                f"reconciliation failed: counts differ, first at {differing[0]['owner']}: {text}", REMEDY
            )


def _index_archive_lag(settings: Settings, store: Database[Document]) -> None:
    try:
        archived, lag = archive.count(store), sum(database_lag(settings.kafka, store).values())
    except ShowroomError as error:
        _log.warning("read the archive's lag failed: %s", error)
        return
    index_events(settings.elasticsearch, events_from_archive(archived, lag, datetime.now(UTC)))
