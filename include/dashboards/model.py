"""Types of a compiled dashboard, of a viewer's filters and of a panel's result."""

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

Kind = Literal["metric", "line", "area", "bar", "pie", "heatmap", "datatable", "search", "markdown", "links"]
FilterName = Literal["category", "device", "referrer"]
Mode = Literal["", "stacked", "unstacked", "percentage"]
Role = Literal["dimension", "metric", "field"]
Type = Literal["text", "number", "time", "boolean"]
Format = Literal["text", "number", "percent", "duration", "money", "time"]

FILTER_FIELDS: dict[str, dict[FilterName, str]] = {
    "session_summary": {"category": "categories", "device": "device_type", "referrer": "referrer"},
    "product_details": {"category": "category", "device": "device_type", "referrer": "referrer"},
    "product_sentiment": {"category": "category"},
}
"""By index: the field behind each filter that the index supports."""


class Column(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One column of a panel's table. `value`: path or formula of a metric in the response."""

    key: str
    label: str
    role: Role
    type: Type
    format: Format
    decimals: int | None = None
    suffix: str = ""
    value: dict[str, Any] | None = None


class Grid(Struct, frozen=True):
    """Position and size on a grid of 48 columns."""

    x: int
    y: int
    w: int
    h: int


class Link(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A link to another dashboard, or to an external URL."""

    label: str
    dashboard: str = ""
    url: str = ""


class Panel(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One panel. `body` is its `_search` body without a time range and without filters."""

    id: str
    dashboard: str
    title: str
    kind: Kind
    grid: Grid
    description: str = ""
    mode: Mode = ""
    index: str = ""
    time_field: str = ""
    supported_filters: tuple[FilterName, ...] = ()
    columns: tuple[Column, ...] = ()
    body: dict[str, Any] = {}
    text: str = ""
    links: tuple[Link, ...] = ()


class Dashboard(Struct, frozen=True, kw_only=True):
    """One dashboard."""

    id: str
    name: str
    description: str
    panels: tuple[Panel, ...]


class Filters(Struct, frozen=True, kw_only=True):
    """A time range [since, until), both aware, and one value per field; an empty value does not filter."""

    since: datetime
    until: datetime
    category: str = ""
    device: str = ""
    referrer: str = ""


class Table(Struct, frozen=True, kw_only=True):
    """The result of a panel: rows in the order of the columns, times as ISO strings in UTC."""

    columns: tuple[Column, ...]
    rows: list[list[Any]]
    took_ms: int
