"""Seasonality of the shop: hours, days of the week, and the slices in which a plan is generated."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from include.ingest.plan import Plan, microseconds

HOUR_US = 3_600_000_000
MAX_SLICE_SESSIONS = 10_000
_THURSDAY = 3

_UTC_HOURS: tuple[float, ...] = (
    *(1.30, 1.40, 1.45, 1.35, 1.20, 0.95, 0.70, 0.50, 0.42, 0.40, 0.42, 0.48),
    *(0.60, 0.74, 0.86, 0.95, 1.02, 1.08, 1.12, 1.14, 1.14, 1.14, 1.16, 1.22),
)
_WEEKDAYS: tuple[float, ...] = (0.95, 0.90, 0.90, 0.94, 1.00, 1.18, 1.25)


def _habit(otherwise: float, *spans: tuple[range, float]) -> tuple[float, ...]:
    shares = [otherwise] * 24
    for hours, share in spans:
        for hour in hours:
            shares[hour] = share
    return tuple(shares)


LOCAL_HABITS: tuple[tuple[float, ...], ...] = (
    _habit(0.08, (range(5, 11), 1.0), (range(11, 21), 0.5)),
    _habit(0.08, (range(9, 18), 1.0), (range(18, 23), 0.4)),
    _habit(0.15, (range(17, 23), 1.0), (range(9, 17), 0.4)),
    _habit(0.08, (range(21, 24), 1.0), (range(2), 1.0), (range(11, 21), 0.3)),
)
"""Relative probability of a visit by local hour, for each habit (early, office, evening, night)."""


class Slice(NamedTuple):
    """An interval [start, end) of the plan in microseconds since 1970, and the number of visits that arrive in it."""

    start: int
    end: int
    sessions: int


def weekday(us: int) -> int:
    """Day of the week in UTC, Monday is 0."""
    return (us // (24 * HOUR_US) + _THURSDAY) % 7


def intensity(us: int) -> float:
    """Return the relative traffic at a time: about 1 on average, at most `plan.PEAK_FACTOR`."""
    return _UTC_HOURS[us // HOUR_US % 24] * _WEEKDAYS[weekday(us)]


def slices(plan: Plan) -> Iterator[Slice]:
    """Return the plan split at full hours, and finer if more than `MAX_SLICE_SESSIONS` would arrive in one slice.

    Together they cover [start, end) without overlap, and the sum of their sessions is the plan's.
    """
    total = sum((stop - start) * intensity(start) for start, stop in _hours(plan.start, plan.end))
    cumulative = 0.0
    assigned = 0
    for start, stop in _hours(plan.start, plan.end):
        cumulative += (stop - start) * intensity(start)
        due = plan.sessions if stop == microseconds(plan.end) else round(plan.sessions * cumulative / total)
        yield from _split(start, stop, due - assigned)
        assigned = due


def _hours(first: datetime, last: datetime) -> Iterator[tuple[int, int]]:
    start, end = microseconds(first), microseconds(last)
    while start < end:
        stop = min((start // HOUR_US + 1) * HOUR_US, end)
        yield start, stop
        start = stop


def _split(start: int, stop: int, sessions: int) -> Iterator[Slice]:
    parts = max(1, min(-(-sessions // MAX_SLICE_SESSIONS), stop - start))
    cuts = [start + (stop - start) * part // parts for part in range(parts + 1)]
    shares = [sessions * part // parts for part in range(parts + 1)]
    for part in range(parts):
        yield Slice(cuts[part], cuts[part + 1], shares[part + 1] - shares[part])


def local_hour(us: int, offset_h: int) -> int:
    """Return the hour of the day at an offset from UTC."""
    return (us // HOUR_US + offset_h) % 24
