"""One run of reconciliation; each result is stored before the next hour is counted."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from include.contracts.settings import Settings
from include.supervise.alert_manager import AlertManager
from include.supervise.due_hours import due_days, due_hours
from include.supervise.events import events_from_reconciliation, reconciliation_alert
from include.supervise.kafka_counts import oldest_raw
from include.supervise.reconcile import HOUR, Reconciliation, merge
from showroom.tasks.pipeline import index_events
from showroom.tasks.reconciliation_store import ReconciliationStore
from showroom.tasks.stage_counts import count_day, count_hour
from showroom.tasks.stores import Stores

DIFFERENCE, UNVERIFIABLE = "reconcile.difference", "reconcile.unverifiable"
REMEDY = "see docs/runbooks/supervise.md, reconcile.difference"

_log = logging.getLogger(__name__)


class ReconciliationRun:
    """One run. Every method raises TransientError while a server is unavailable; stored results remain."""

    def __init__(self, settings: Settings, stores: Stores, store: ReconciliationStore) -> None:
        self._settings, self._stores, self.store = settings, stores, store

    def due(self, now: datetime) -> list[dict[str, Any]]:
        """Count all hours and days that are due; return the results as plain data, oldest first."""
        counted = self.store.counted_hours()
        due = due_hours(now, counted, None if counted else oldest_raw(self._settings.kafka))
        self._record_expired(due.expired)
        hours = [self.hour(hour) for hour in due.hours]
        days = due_days(now, self.store.counted_hours(), self.store.closed_days())
        return hours + [self._day(day) for day in days]

    def hour(self, hour: datetime, *, again: bool = False) -> dict[str, Any]:
        """Count one hour; `again` repeats the counts of Kafka that an earlier run has stored."""
        evidence = None if again else self.store.evidence(hour)
        counted = count_hour(self._settings, self._stores, hour, evidence)
        plain = self.store.store_hour(counted)
        self._report(counted.result, plain)
        return plain

    def _day(self, day: datetime) -> dict[str, Any]:
        evidence = merge([hour for n in range(24) if (hour := self.store.evidence(day + n * HOUR))])
        minutes = count_day(self._settings.kafka, self._stores, day, evidence, self.store.bounds(day))
        plain = self.store.store_day(minutes)
        self._report(minutes.result, plain)
        return plain

    def _report(self, result: Reconciliation, plain: Mapping[str, Any]) -> None:
        for line in plain["lines"]:
            _log.info("%s: %s: %s", plain["hour"], line["name"], line["text"])
        # With the hour's time, so that the same difference is the same event.
        alerts = (
            []
            if result.is_balanced
            else [reconciliation_alert(DIFFERENCE, self.store.describe_difference(plain), result.hour)]
        )
        index_events(self._settings.elasticsearch, [*events_from_reconciliation(result), *alerts])

    def _record_expired(self, expired: list[datetime]) -> None:
        """Store hours that cannot be counted any more as unverifiable, and fire an alert once."""
        if not expired:
            return
        self.store.store_unverifiable(expired)
        detail = f"{len(expired)} hours from {expired[0]:%Y-%m-%dT%HZ} to {expired[-1]:%Y-%m-%dT%HZ}"
        _log.error("%s: raw records expired before they were counted", detail)
        with AlertManager(self._settings) as manager:
            title = "hours were not reconciled in time"
            remedy = "see docs/runbooks/supervise.md, reconcile.unverifiable"
            manager.fire(UNVERIFIABLE, title, f"{detail}: raw records expired before they were counted", remedy)

    def update_alert(self, now: datetime) -> None:
        """Fire the alert while any recent hour differs, resolve it once none does."""
        differing = self.store.differing(now)
        with AlertManager(self._settings) as manager:
            if not differing:
                manager.resolve(DIFFERENCE)
                return
            stage = differing[0].get("owner") or "a stage"
            manager.fire(
                DIFFERENCE, f"{stage}: counts differ", "; ".join(map(self.store.describe_difference, differing)), REMEDY
            )
