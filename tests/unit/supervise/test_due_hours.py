"""Hours that a run counts: missed and open ones, none twice, none that can no longer be counted."""

from datetime import UTC, datetime, timedelta

import pytest

from include.contracts.errors import TerminalError
from include.supervise.due_hours import CountedHour, due_days, due_hours, oldest_verifiable, require_countable
from include.supervise.reconcile import HOUR

NOW = datetime(2026, 11, 23, 15, 20, tzinfo=UTC)
LAST = datetime(2026, 11, 23, 14, tzinfo=UTC)
CLOSED, OPEN, OPEN_STORED, DIFFERENT = (
    CountedHour("balanced", True),
    CountedHour("pending", False),
    CountedHour("pending", True),
    CountedHour("difference", True),
)


def ago(hours: int) -> datetime:
    return LAST - hours * HOUR


def test_due_hours_after_an_unbroken_history_are_the_last_one() -> None:
    assert due_hours(NOW, {ago(n): CLOSED for n in range(1, 200)}, None) == ([LAST], [])
    assert due_hours(NOW, {ago(n): CLOSED for n in range(200)}, None) == ([], [])


def test_due_hours_after_an_outage_are_all_that_were_missed() -> None:
    assert due_hours(NOW, {ago(n): CLOSED for n in (9, 10)}, None) == ([ago(n) for n in range(8, -1, -1)], [])


def test_due_hours_include_pending_ones_and_recent_differences() -> None:
    existing = {ago(n): CLOSED for n in range(1, 60)} | {ago(3): OPEN, ago(5): OPEN_STORED, ago(7): DIFFERENT}
    assert due_hours(NOW, existing, None).hours == [ago(7), ago(5), ago(3), LAST]


def test_due_hours_whose_raw_records_expired_are_unverifiable_once() -> None:
    existing = {ago(n): CLOSED for n in range(80, 90)} | {ago(85): OPEN, ago(84): OPEN_STORED, ago(83): DIFFERENT}
    due = due_hours(NOW, existing, None)
    oldest = oldest_verifiable(NOW)
    assert due.expired == [ago(85), *(ago(n) for n in range(79, 0, -1) if ago(n) < oldest)]
    assert due.hours == [ago(84), *(ago(n) for n in range(79, -1, -1) if ago(n) >= oldest)]
    existing |= dict.fromkeys(due.expired, CountedHour("unverifiable", False)) | dict.fromkeys(due.hours, CLOSED)
    assert due_hours(NOW, existing, None) == ([], [])


def test_due_hours_of_first_run_start_with_the_day_of_the_oldest_record() -> None:
    midnight = NOW.replace(hour=0, minute=0)
    due = due_hours(NOW, {}, NOW - timedelta(hours=4))
    assert (due.hours[0], due.hours[-1], due.expired) == (midnight, LAST, [])
    assert due_hours(NOW, {}, None) == ([LAST], [])
    long_ago = due_hours(NOW, {}, NOW - timedelta(days=30))
    assert (long_ago.hours[0], long_ago.expired) == (oldest_verifiable(NOW), [])


def test_due_days_are_those_whose_24_hours_are_counted() -> None:
    day = datetime(2026, 11, 22, tzinfo=UTC)
    existing = {day + n * HOUR: CLOSED for n in range(24)}
    assert due_days(NOW, existing, set()) == [day]
    assert due_days(NOW, existing, {day}) == []
    assert due_days(NOW, existing | {day + 5 * HOUR: OPEN}, set()) == []
    assert due_days(NOW, {hour: record for hour, record in existing.items() if hour.hour != 23}, set()) == []


def test_require_countable_of_an_open_or_expired_hour_raises() -> None:
    require_countable(NOW, LAST)
    with pytest.raises(TerminalError, match="is not over"):
        require_countable(NOW, LAST + HOUR)
    with pytest.raises(TerminalError, match="have expired"):
        require_countable(NOW, NOW - timedelta(days=4))
