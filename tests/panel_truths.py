"""Expected values of each panel on the golden day, counted from its sessions and supervision cycles."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, TypeVar

from include.contracts.session import ValidSession, View
from include.serving.panels import Narrow
from tests.golden_cycles import ExpectedEvent, expected_events
from tests.known_day import Day, planted

LATE_AFTER_S = 3_600
Rows = list[list[Any]]
T = TypeVar("T")
Measure = Callable[[Sequence[Any]], float | None]


@dataclass(frozen=True)
class Look:
    """One product looked at, in its visit."""

    session: ValidSession
    view: View

    @property
    def review(self) -> str:
        return self.view.review or ""

    @property
    def name(self) -> str:
        return self.view.name or self.view.product_id


@dataclass(frozen=True)
class Shown:
    """What of the day a viewer has asked for; `width` of a point in s."""

    day: Day
    narrow: Narrow
    width: int

    def within(self, at: datetime) -> bool:
        return self.narrow.since <= at < self.narrow.until

    @cached_property
    def every(self) -> list[ValidSession]:
        """Visits of the time, however narrowed."""
        return [session for session in self.day.sessions if self.within(session.started_at)]

    @cached_property
    def sessions(self) -> list[ValidSession]:
        return [one for one in self.every if self._fits(one) and self.narrow.category in ("", *one.categories)]

    @cached_property
    def looks(self) -> list[Look]:
        every = [Look(session, view) for session in self.every if self._fits(session) for view in session.views]
        return [look for look in every if self.narrow.category in ("", look.view.category)]

    @cached_property
    def reviews(self) -> list[Look]:
        """Reviews say nothing of device and referrer."""
        every = [Look(session, view) for session in self.every for view in session.views if view.review]
        return [look for look in every if self.narrow.category in ("", look.view.category)]

    @cached_property
    def events(self) -> list[ExpectedEvent]:
        return [event for event in expected_events(self.day) if self.within(event.at)]

    @property
    def buyers(self) -> list[ValidSession]:
        return [session for session in self.sessions if session.purchase.made]

    def kind(self, kind: str) -> list[ExpectedEvent]:
        return [event for event in self.events if event.kind == kind]

    def _fits(self, session: ValidSession) -> bool:
        asked = self.narrow
        return asked.device in ("", session.device.type) and asked.referrer in ("", session.referrer)

    def over_time(self, items: Iterable[T], at: Callable[[T], datetime], *measures: Measure) -> Rows:
        """A point for each width of time, those without an item included."""
        found: dict[int, list[T]] = {}
        for item in items:
            found.setdefault(int(at(item).timestamp()) // self.width, []).append(item)
        first = int(self.narrow.since.timestamp()) // self.width
        last = int((self.narrow.until - timedelta(milliseconds=1)).timestamp()) // self.width
        return [
            [
                datetime.fromtimestamp(point * self.width, UTC).isoformat(),
                *(measure(found.get(point, [])) for measure in measures),
            ]
            for point in range(first, last + 1)
        ]


def grouped(items: Iterable[T], keys: Callable[[T], Iterable[Any]]) -> dict[Any, list[T]]:
    """Items by each of their different keys; without a key in none."""
    found: dict[Any, list[T]] = {}
    for item in items:
        for key in {key for key in keys(item) if key is not None}:
            found.setdefault(key, []).append(item)
    return found


def most(groups: dict[Any, list[T]], size: int, by: Measure = len) -> list[tuple[Any, list[T]]]:
    """Groups with the largest measure first, equal ones by key."""
    return sorted(groups.items(), key=lambda group: (-(by(group[1]) or 0), group[0]))[:size]


def table(groups: Iterable[tuple[Any, Sequence[Any]]], *measures: Measure) -> Rows:
    return [[key, *(measure(items) for measure in measures)] for key, items in groups]


def prefixed(key: Any, rows: Rows) -> Rows:
    return [[key, *row] for row in rows]


def ratio(above: float, below: float) -> float | None:
    return above / below if below else None


def mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return ratio(sum(known), len(known))


def started(session: ValidSession) -> datetime:
    return session.started_at


def users(sessions: Sequence[ValidSession]) -> int:
    return len({session.user_id for session in sessions})


def purchases(sessions: Sequence[ValidSession]) -> int:
    return sum(session.purchase.made for session in sessions)


def sales(sessions: Sequence[ValidSession]) -> float:
    return sum(round(session.purchase.amount * 100) for session in sessions) / 100


def conversion(sessions: Sequence[ValidSession]) -> float | None:
    return ratio(purchases(sessions), len(sessions))


def values(events: Sequence[ExpectedEvent]) -> float:
    return sum(event.value for event in events)


def highest(events: Sequence[ExpectedEvent]) -> float | None:
    return max((event.value for event in events), default=None)


def highest_total(events: Sequence[ExpectedEvent]) -> float | None:
    return max((event.total for event in events if event.total is not None), default=None)


def by_mood(shown: Shown, keys: Callable[[Look], Iterable[Any]], size: int) -> Rows:
    """By the sentiment that reviews were written with, not the one that was found in them."""
    rows: Rows = []
    for label in ("negative", "neutral", "positive"):
        found = [look for look in shown.reviews if planted(look.review) == label]
        rows += prefixed(label, table(most(grouped(found, keys), size), len))
    return rows


def event_lines(shown: Shown, kind: str, measure: Measure, size: int) -> Rows:
    rows: Rows = []
    for name, found in most(grouped(shown.kind(kind), lambda event: [event.name]), size, measure):
        rows += prefixed(name, shown.over_time(found, lambda event: event.at, measure))
    return rows
