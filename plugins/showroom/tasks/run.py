"""One run of reconciliation over the hours that are due; each result is stored before the next hour is counted."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from include.contracts.settings import Settings
from include.supervise.alert_manager import Alarms
from include.supervise.due_hours import due_days, due_hours
from include.supervise.events import difference, of_hour
from include.supervise.kafka_counts import oldest_raw
from include.supervise.reconcile import HOUR, Reconciliation, merged
from showroom.tasks.account import count_day, count_hour
from showroom.tasks.entries import Entries
from showroom.tasks.pipeline import tell
from showroom.tasks.stores import Stores

ALARM, UNVERIFIABLE = "reconcile.difference", "reconcile.unverifiable"
REMEDY = "see docs/runbooks/supervise.md, reconcile.difference"

_log = logging.getLogger(__name__)


class Run:
    """One run. Every method raises TransientError while a server is unavailable; what is stored stays."""

    def __init__(self, current: Settings, stores: Stores, entries: Entries) -> None:
        self._settings, self._stores, self.entries = current, stores, entries

    def due(self, now: datetime) -> list[dict[str, Any]]:
        """Count all hours and days that are due at a time; the results as plain data, oldest first."""
        known = self.entries.known()
        due = due_hours(now, known, None if known else oldest_raw(self._settings))
        self._give_up(due.expired)
        hours = [self.hour(hour) for hour in due.hours]
        days = due_days(now, self.entries.known(), self.entries.closed_days())
        return hours + [self._day(day) for day in days]

    def hour(self, hour: datetime, *, anew: bool = False) -> dict[str, Any]:
        """Count one hour, `anew` also what an earlier run has read of Kafka."""
        evidence = None if anew else self.entries.evidence(hour)
        counted = count_hour(self._settings, self._stores, hour, evidence)
        plain = self.entries.keep_hour(counted)
        self._report(counted.result, plain)
        return plain

    def _day(self, day: datetime) -> dict[str, Any]:
        evidence = merged([found for n in range(24) if (found := self.entries.evidence(day + n * HOUR))])
        minutes = count_day(self._settings, self._stores, day, evidence, self.entries.bounds(day))
        plain = self.entries.keep_day(minutes)
        self._report(minutes.result, plain)
        return plain

    def _report(self, found: Reconciliation, plain: Mapping[str, Any]) -> None:
        for line in plain["lines"]:
            _log.info("%s: %s: %s", plain["hour"], line["name"], line["text"])
        # Of the hour, so that the same difference found again is the same alarm.
        wrong = [] if found.balanced else [difference(ALARM, self.entries.differs(plain), found.hour)]
        tell(self._settings, [*of_hour(found), *wrong])

    def _give_up(self, expired: list[datetime]) -> None:
        """Record hours that nobody can count any more, and tell people once."""
        if not expired:
            return
        self.entries.keep_unverifiable(expired)
        detail = f"{len(expired)} hours from {expired[0]:%Y-%m-%dT%HZ} to {expired[-1]:%Y-%m-%dT%HZ}"
        _log.error("%s: raw records expired before they were counted", detail)
        with Alarms(self._settings) as alarms:
            title, remedy = (
                "hours were not reconciled in time",
                "see docs/runbooks/supervise.md, reconcile.unverifiable",
            )
            alarms.raise_(UNVERIFIABLE, title, f"{detail}: raw records expired before they were counted", remedy)

    def alarm(self, now: datetime) -> None:
        """Raise the alarm while any recent hour differs, clear it once none does."""
        differing = self.entries.differing(now)
        with Alarms(self._settings) as alarms:
            if not differing:
                alarms.clear(ALARM)
                return
            owner = differing[0].get("owner") or "a stage"
            alarms.raise_(ALARM, f"{owner}: counts differ", "; ".join(map(self.entries.differs, differing)), REMEDY)
