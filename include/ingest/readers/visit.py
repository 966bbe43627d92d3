"""Visits of a log: cells validated against the contract, sessions assembled in bounded memory."""

import re
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import NamedTuple

from include.contracts.session import (
    MAX_VIEWS,
    Device,
    LastAction,
    Location,
    Purchase,
    Session,
    User,
    View,
)
from include.ingest.readers.lines import BadLineError, ReaderStats

INACTIVITY_GAP = timedelta(minutes=30)
MAX_VISIT_DURATION = timedelta(days=7)
MAX_OPEN_VISITS = 200_000
MAX_IDENTIFIER = 64
MAX_LABEL = 200
MAX_MONEY = Decimal("1e9")
_NOT_COLLECTED = Device(type="not_collected", os=None, browser=None)
_NO_USER_DATA = User(name=None, email=None, gender=None)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class LoggedVisit(NamedTuple):
    """A session of a log, and the exact value of its purchases."""

    session: Session
    amount: Decimal


def parse_identifier(text: str, name: str) -> str:
    """Return a cell with an identifier: 1 to 64 characters without control characters."""
    if not text:
        raise BadLineError(f"has no {name}")
    if len(text) > MAX_IDENTIFIER or _CONTROL.search(text):
        raise BadLineError(f"has a {name} that is longer than {MAX_IDENTIFIER} characters or has control characters")
    return text


def parse_label(text: str, name: str) -> str | None:
    """Return a cell with a description: None if it is empty, otherwise at most 200 plain characters."""
    if len(text) > MAX_LABEL or _CONTROL.search(text):
        raise BadLineError(f"has a {name} that is longer than {MAX_LABEL} characters or has control characters")
    return text or None


def parse_amount(text: str, name: str) -> Decimal:
    """Return a cell with an amount in shop currency, between -1e9 and 1e9."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise BadLineError(f"has a {name} that is no number: {text[:40]!r}") from None
    if not value.is_finite() or abs(value) > MAX_MONEY:
        raise BadLineError(f"has a {name} out of range: {text[:40]!r}")
    return value


def parse_timestamp(text: str, name: str, *other_formats: str) -> datetime:
    """Return a cell with a time in UTC, `2019-10-01 00:00:00` with or without ` UTC`, or in another format."""
    plain = text.removesuffix(" UTC")
    try:
        result = datetime.fromisoformat(plain)
    except ValueError:
        for form in other_formats:
            try:
                return datetime.strptime(plain, form).replace(tzinfo=UTC)
            except ValueError:
                continue
        raise BadLineError(f"has a {name} that is not a time: {text[:40]!r}") from None
    return result.replace(tzinfo=UTC) if result.tzinfo is None else result.astimezone(UTC)


def stable_id(prefix: str, *parts: object) -> str:
    """Return an id derived from its parts alone."""
    text = "\x1f".join(str(part) for part in parts)
    return f"{prefix}-{blake2b(text.encode(), digest_size=12).hexdigest()}"


class OpenVisit:
    """A visit that is not complete yet."""

    __slots__ = ("amount", "country", "first", "last", "last_action", "made", "page_views", "part", "user_id", "views")

    def __init__(self, user_id: str, timestamp: datetime, part: int = 1) -> None:
        self.user_id = user_id
        self.first = self.last = timestamp
        self.part = part
        self.views: list[View] = []
        self.page_views: int | None = None
        self.amount = Decimal(0)
        self.made = False
        self.last_action: LastAction = "view_item"
        self.country: str | None = None

    def extend(self, timestamp: datetime) -> None:
        """Extend the visit to a timestamp."""
        self.first, self.last = min(self.first, timestamp), max(self.last, timestamp)

    def accepts(self, timestamp: datetime, gap: timedelta) -> bool:
        """Return whether an event fits: at most `gap` of inactivity, at most `MAX_VISIT_DURATION` in all."""
        near = self.first - gap <= timestamp <= self.last + gap
        return (
            near
            and max(self.last, timestamp) - min(self.first, timestamp) < MAX_VISIT_DURATION
            and len(self.views) < MAX_VIEWS
        )

    def add_amount(self, value: Decimal) -> None:
        """Add to the amount.

        Raises:
            BadLineError: The sum exceeds the limit of the contract.
        """
        if abs(self.amount + value) > MAX_MONEY:
            raise BadLineError("increases the amount of its visit beyond 1e9")
        self.amount += value

    def close(self, session_id: str, *, duration_s: int) -> LoggedVisit:
        """Return the session; fields that the log lacks are null or `not_collected`."""
        session = Session(
            v=1,
            session_id=session_id,
            user_id=self.user_id,
            started_at=self.first,
            duration_s=duration_s,
            user=_NO_USER_DATA,
            ip=None,
            device=_NOT_COLLECTED,
            location=Location(country=self.country, state=None, city=None, zip=None),
            referrer="not_collected",
            page_views=self.page_views,
            clicks=None,
            views=self.views,
            last_action=self.last_action,
            exit_page=None,
            purchase=Purchase(made=self.made, amount=float(self.amount), payment=None),
        )
        return LoggedVisit(session, self.amount)

    @property
    def duration_s(self) -> int:
        """Whole seconds from the first to the last line."""
        return int((self.last - self.first).total_seconds())


class OpenVisits:
    """Visits by key, in the order of their newest line; inactive ones are closed.

    Works on logs in rising or falling order of time. At most `MAX_OPEN_VISITS` are open. Beyond that,
    the one with the oldest line is closed and counted as `closed_early`.
    """

    def __init__(self, stats: ReaderStats, gap: timedelta = INACTIVITY_GAP) -> None:
        self._open: OrderedDict[Hashable, OpenVisit] = OrderedDict()
        self._stats = stats
        self.gap = gap

    def pop_expired(self, timestamp: datetime) -> Iterator[tuple[Hashable, OpenVisit]]:
        """Yield and remove the visits that are over at `timestamp`, the time of the current line."""
        while self._open:
            key, visit = next(iter(self._open.items()))
            if visit.first - self.gap <= timestamp <= visit.last + self.gap and len(self._open) <= MAX_OPEN_VISITS:
                return
            if len(self._open) > MAX_OPEN_VISITS:
                self._stats.counts["closed_early"] += 1
            yield key, self._open.pop(key)

    def get(self, key: Hashable) -> OpenVisit | None:
        """Return the open visit of a key and mark it as the newest; None without one."""
        visit = self._open.get(key)
        if visit is not None:
            self._open.move_to_end(key)
        return visit

    def add(self, key: Hashable, visit: OpenVisit) -> OpenVisit:
        """Open a visit."""
        self._open[key] = visit
        self._open.move_to_end(key)
        return visit

    def pop(self, key: Hashable) -> OpenVisit:
        """Remove and return an open visit."""
        return self._open.pop(key)

    def pop_all(self) -> Iterator[tuple[Hashable, OpenVisit]]:
        """Yield and remove all open visits, at the end of the log."""
        while self._open:
            yield self._open.popitem(last=False)
