"""The key figures a page shows, as typed values."""

from datetime import datetime, timedelta
from typing import NamedTuple


class Span(NamedTuple):
    """How far back to look, and the width of one point of a series."""

    name: str
    length: timedelta
    step: timedelta


HOUR = Span("hour", timedelta(hours=1), timedelta(minutes=1))
DAY = Span("day", timedelta(days=1), timedelta(minutes=15))
SPANS = {span.name: span for span in (HOUR, DAY)}


class Window(NamedTuple):
    """The minutes in [since, until)."""

    since: datetime
    until: datetime


class Figures(NamedTuple):
    """Sums over a window. `revenue` in shop currency, `mean_duration_s` in seconds, `conversion` from 0 to 1."""

    sessions: int
    purchases: int
    revenue: float
    conversion: float
    mean_duration_s: float
    late_sessions: int


class Point(NamedTuple):
    """One step of a series, named by its start."""

    at: datetime
    sessions: int
    purchases: int
    revenue: float


class Category(NamedTuple):
    """Key figures of one category; a session counts in each category it viewed."""

    name: str
    figures: Figures


class Share(NamedTuple):
    """How many documents hold one value of a field."""

    name: str
    documents: int


class Product(NamedTuple):
    """One product: times viewed, and viewed in a session that ended with a purchase."""

    product_id: str
    name: str
    views: int
    in_purchases: int
