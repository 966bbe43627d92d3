"""Reference results of the panels for the golden day, computed from its sessions without Elasticsearch."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, TypeVar

from include.contracts.session import ValidSession, View
from include.dashboards.model import Filters
from tests.golden_cycles import ExpectedEvent, expected_events
from tests.golden_day import Day, generated_sentiment

LATE_AFTER_S = 3_600
Rows = list[list[Any]]
T = TypeVar("T")
Measure = Callable[[Sequence[Any]], float | None]


@dataclass(frozen=True)
class ProductView:
    """One viewed product and its session."""

    session: ValidSession
    view: View

    @property
    def review(self) -> str:
        return self.view.review or ""

    @property
    def name(self) -> str:
        return self.view.name or self.view.product_id


@dataclass(frozen=True)
class Selection:
    """The part of the day that the filters select. `width`: interval of a time series in s."""

    day: Day
    filters: Filters
    width: int

    def within(self, at: datetime) -> bool:
        return self.filters.since <= at < self.filters.until

    @cached_property
    def every(self) -> list[ValidSession]:
        """Sessions in the time range, without the other filters."""
        return [session for session in self.day.sessions if self.within(session.started_at)]

    @cached_property
    def sessions(self) -> list[ValidSession]:
        return [
            session
            for session in self.every
            if self._fits(session) and self.filters.category in ("", *session.categories)
        ]

    @cached_property
    def product_views(self) -> list[ProductView]:
        every = [ProductView(session, view) for session in self.every if self._fits(session) for view in session.views]
        return [product_view for product_view in every if self.filters.category in ("", product_view.view.category)]

    @cached_property
    def reviews(self) -> list[ProductView]:
        """Views with a review; the index of reviews has no device and no referrer."""
        every = [ProductView(session, view) for session in self.every for view in session.views if view.review]
        return [product_view for product_view in every if self.filters.category in ("", product_view.view.category)]

    @cached_property
    def events(self) -> list[ExpectedEvent]:
        return [event for event in expected_events(self.day) if self.within(event.at)]

    @property
    def buyers(self) -> list[ValidSession]:
        return [session for session in self.sessions if session.purchase.made]

    def kind(self, kind: str) -> list[ExpectedEvent]:
        return [event for event in self.events if event.kind == kind]

    def _fits(self, session: ValidSession) -> bool:
        request = self.filters
        return request.device in ("", session.device.type) and request.referrer in ("", session.referrer)

    def over_time(self, items: Iterable[T], at: Callable[[T], datetime], *measures: Measure) -> Rows:
        """Return one row for each interval, including those without items."""
        results: dict[int, list[T]] = {}
        for item in items:
            results.setdefault(int(at(item).timestamp()) // self.width, []).append(item)
        first = int(self.filters.since.timestamp()) // self.width
        last = int((self.filters.until - timedelta(milliseconds=1)).timestamp()) // self.width
        return [
            [
                datetime.fromtimestamp(point * self.width, UTC).isoformat(),
                *(measure(results.get(point, [])) for measure in measures),
            ]
            for point in range(first, last + 1)
        ]


def grouped(items: Iterable[T], keys: Callable[[T], Iterable[Any]]) -> dict[Any, list[T]]:
    """Group items by each of their distinct keys; items without a key are omitted."""
    results: dict[Any, list[T]] = {}
    for item in items:
        for key in {key for key in keys(item) if key is not None}:
            results.setdefault(key, []).append(item)
    return results


def most(groups: dict[Any, list[T]], size: int, by: Measure = len) -> list[tuple[Any, list[T]]]:
    """Return the `size` groups with the largest measure, equal ones by key."""
    return sorted(groups.items(), key=lambda group: (-(by(group[1]) or 0), group[0]))[:size]


def table(groups: Iterable[tuple[Any, Sequence[Any]]], *measures: Measure) -> Rows:
    return [[key, *(measure(items) for measure in measures)] for key, items in groups]


def prefixed(key: Any, rows: Rows) -> Rows:
    return [[key, *row] for row in rows]


def ratio(above: float, below: float) -> float | None:
    return above / below if below else None


def mean(values: Sequence[float | None]) -> float | None:
    existing = [value for value in values if value is not None]
    return ratio(sum(existing), len(existing))


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


def by_sentiment(selection: Selection, keys: Callable[[ProductView], Iterable[Any]], size: int) -> Rows:
    """Group reviews by the sentiment they were generated with, not by the predicted one."""
    rows: Rows = []
    for label in ("negative", "neutral", "positive"):
        results = [
            product_view for product_view in selection.reviews if generated_sentiment(product_view.review) == label
        ]
        rows += prefixed(label, table(most(grouped(results, keys), size), len))
    return rows


def event_lines(selection: Selection, kind: str, measure: Measure, size: int) -> Rows:
    rows: Rows = []
    for name, result in most(grouped(selection.kind(kind), lambda event: [event.name]), size, measure):
        rows += prefixed(name, selection.over_time(result, lambda event: event.at, measure))
    return rows
