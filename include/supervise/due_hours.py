"""The hours and days that a run of reconciliation counts, pure."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from include.contracts.errors import TerminalError
from include.contracts.topics import RAW, TOPICS
from include.supervise.reconcile import DAY, HOUR, State

RAW_RETENTION = timedelta(days=next(topic.retention_days for topic in TOPICS if topic.name == RAW))


class CountedHour(NamedTuple):
    """An hour that was counted before. `has_evidence`: Kafka's part is stored, so raw records are not needed again."""

    state: State
    has_evidence: bool


class DueHours(NamedTuple):
    """Hours to count, oldest first, and hours whose raw records expired before they were counted."""

    hours: list[datetime]
    expired: list[datetime]


def due_hours(now: datetime, counted: Mapping[datetime, CountedHour], oldest_raw: datetime | None) -> DueHours:
    """Return every hour that has ended and is not closed.

    Args:
        now: The time of the run.
        counted: Hours with an entry.
        oldest_raw: Arrival of the oldest raw record; None for an empty topic. Only the first run needs it: it begins
            with the day of that record, so that the whole day can be compared.

    Returns:
        The last hour, hours that were missed since the first entry, pending hours, and recent hours with a
        difference, which may have been repaired.
    """
    last, oldest = floor(now) - HOUR, oldest_verifiable(now)
    if counted:
        first = min(counted)
    elif oldest_raw is not None:
        first = max(floor(oldest_raw).replace(hour=0), oldest)
    else:
        first = last
    missed = [hour for hour in _hours(min(first, last), last) if hour not in counted]
    open_hours = [hour for hour, entry in counted.items() if entry.state == "pending"]
    repaired = [hour for hour, entry in counted.items() if entry.state == "difference" and hour >= oldest]
    count = {hour for hour in (*missed, *open_hours) if hour >= oldest or _is_stored(counted, hour)}
    expired = {hour for hour in (*missed, *open_hours) if hour not in count}
    return DueHours(sorted(count.union(repaired)), sorted(expired))


def due_days(now: datetime, counted: Mapping[datetime, CountedHour], closed: Collection[datetime]) -> list[datetime]:
    """Return the recent days that have ended, with all 24 hours counted, that are not compared yet."""
    today = floor(now).replace(hour=0)
    days = [today - DAY * back for back in range(RAW_RETENTION.days + 1, 0, -1)]
    return [day for day in days if day not in closed and all(_has_evidence(counted, day + HOUR * n) for n in range(24))]


def require_countable(now: datetime, hour: datetime) -> None:
    """Raise TerminalError for an hour that is not over, or whose raw records may have expired."""
    if hour + HOUR > now:
        raise TerminalError(
            f"reconciliation failed: the hour of {hour:%Y-%m-%dT%H:%MZ} is not over", "run it again when it is"
        )
    if hour < oldest_verifiable(now):
        raise TerminalError(
            f"reconciliation failed: raw records of {hour:%Y-%m-%dT%H:%MZ} have expired",
            f"they are retained for {RAW_RETENTION.days} days",
        )


def floor(instant: datetime) -> datetime:
    """Return the beginning of an instant's hour."""
    return instant.replace(minute=0, second=0, microsecond=0)


def oldest_verifiable(now: datetime) -> datetime:
    """Return the first hour whose raw records are certainly complete, and are retained while they are counted."""
    return floor(now - RAW_RETENTION) + 2 * HOUR


def _is_stored(counted: Mapping[datetime, CountedHour], hour: datetime) -> bool:
    return hour in counted and counted[hour].has_evidence


def _has_evidence(counted: Mapping[datetime, CountedHour], hour: datetime) -> bool:
    return _is_stored(counted, hour)


def _hours(first: datetime, last: datetime) -> Iterator[datetime]:
    hour = first
    while hour <= last:
        yield hour
        hour += HOUR
