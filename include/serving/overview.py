"""Everything the Live page shows of the last hour or day: all panels, asked side by side."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from elasticsearch import Elasticsearch

from include.serving import panels
from include.serving.figures import SPANS, Category, Figures, Point, Product, Share, Span, Window
from include.serving.queries import Newest

TIMEOUT_S = 5.0
AT_ONCE = 8

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What the Live page shows of one span. `before` is the window of the same length before it."""

    span: Span
    window: Window
    figures: dict[str, Figures]
    before: dict[str, Figures]
    users: dict[str, int]
    series: list[Point]
    categories: list[Category]
    products: list[Product]
    referrers: list[Share]
    devices: list[Share]
    moods: list[Share]
    newest: Newest | None

    @property
    def empty(self) -> bool:
        """Nothing was ever indexed that these windows could show."""
        return self.newest is None and not any(figures.sessions for figures in self.figures.values())


def window(span: Span, now: datetime) -> Window:
    """The last whole-minute window of a span's length that ends with the minute of `now`."""
    until = now.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    return Window(until - span.length, until)


def overview(client: Elasticsearch, span: Span, now: datetime) -> Overview:
    """Everything the page shows of a span that ends at `now` (aware).

    Raises TransientError while Elasticsearch is away or busy, TerminalError where it refuses a question.
    """
    quick = client.options(request_timeout=TIMEOUT_S, max_retries=0)
    shown = window(span, now)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="panel") as pool:

        def start(ask: Callable[..., _T], *arguments: Any) -> Future[_T]:
            return pool.submit(ask, quick, *arguments)

        sums = start(panels.figures, {name: window(each, now) for name, each in SPANS.items()})
        people = start(panels.users, {name: window(each, now) for name, each in SPANS.items()})
        last, line = start(panels.newest, now), start(panels.series, shown, span.step)
        kinds, goods = start(panels.categories, shown), start(panels.products, shown)
        places, moods = start(panels.origins, shown), start(panels.sentiment, shown)
        referrers, devices = places.result()
        current, before = sums.result()
        return Overview(
            span=span,
            window=shown,
            figures=current,
            before=before,
            users=people.result(),
            series=line.result(),
            categories=kinds.result(),
            products=goods.result(),
            referrers=referrers,
            devices=devices,
            moods=moods.result(),
            newest=last.result(),
        )
