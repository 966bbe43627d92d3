"""The panels of the dashboards: what each asks Elasticsearch, and the table it gets.

Kibana's objects and these are generated from the same YAML. A page asks for one panel at a time; all raise
TransientError while Elasticsearch is away or busy, TerminalError where it refuses.
"""

from copy import deepcopy
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
from elasticsearch import Elasticsearch
from msgspec import Struct

from include.clients.elasticsearch import translate_errors
from include.contracts.errors import TerminalError
from include.serving.reading import Columns, rows

SAVED = Path(__file__).parent / "saved" / "panels.json"
TIMEOUT_S = 5.0
POINTS = 75
MAX_CHOICES = 100
# Before the first document there is no index and so no alias; half an answer is none.
_LENIENT: dict[str, Any] = {
    "ignore_unavailable": True,
    "allow_no_indices": True,
    "allow_partial_search_results": False,
}
_STEPS = (
    *(timedelta(minutes=minutes) for minutes in (1, 5, 10, 30)),
    *(timedelta(hours=hours) for hours in (1, 3, 12)),
    *(timedelta(days=days) for days in (1, 7, 30)),
)

Kind = Literal["metric", "line", "area", "bar", "pie", "heatmap", "datatable", "search", "markdown", "links"]
Narrowing = Literal["category", "device", "referrer"]
Mode = Literal["", "stacked", "unstacked", "percentage"]
Role = Literal["dimension", "metric", "field"]
Type = Literal["text", "number", "time", "boolean"]
Format = Literal["text", "number", "percent", "duration", "money", "time"]

FIELDS: dict[str, dict[Narrowing, str]] = {
    "session_summary": {"category": "categories", "device": "device_type", "referrer": "referrer"},
    "product_details": {"category": "category", "device": "device_type", "referrer": "referrer"},
    "product_sentiment": {"category": "category"},
}
"""By index: the fields a viewer may narrow by."""


class Column(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One column of a panel's table. `value`: where a metric is found in the answer, or how it is computed."""

    key: str
    label: str
    role: Role
    type: Type
    format: Format
    decimals: int | None = None
    suffix: str = ""
    value: dict[str, Any] | None = None


class Grid(Struct, frozen=True):
    """Place on a grid of 48 columns."""

    x: int
    y: int
    w: int
    h: int


class Link(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A way to another board, or to another program."""

    label: str
    board: str = ""
    url: str = ""


class Panel(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One panel. `body` is a `_search` body for all time; `narrowed_by` what a viewer may narrow it by."""

    id: str
    board: str
    title: str
    kind: Kind
    grid: Grid
    description: str = ""
    mode: Mode = ""
    index: str = ""
    time_field: str = ""
    narrowed_by: tuple[Narrowing, ...] = ()
    columns: tuple[Column, ...] = ()
    body: dict[str, Any] = {}
    text: str = ""
    links: tuple[Link, ...] = ()


class Board(Struct, frozen=True, kw_only=True):
    """One dashboard."""

    id: str
    name: str
    description: str
    panels: tuple[Panel, ...]


class Narrow(Struct, frozen=True, kw_only=True):
    """What a viewer wants to see: times in [since, until), aware, and one value of each field or any."""

    since: datetime
    until: datetime
    category: str = ""
    device: str = ""
    referrer: str = ""


class Table(Struct, frozen=True, kw_only=True):
    """An answer: rows as the columns say, dimensions first, times as ISO strings in UTC."""

    columns: tuple[Column, ...]
    rows: list[list[Any]]
    took_ms: int


@cache
def load() -> dict[str, Board]:
    """All boards by id, in the order of their tabs."""
    boards = msgspec.json.decode(SAVED.read_bytes(), type=list[Board])
    return {board.id: board for board in boards}


def find(panel_id: str) -> Panel:
    """One panel. Raises TerminalError for an unknown one."""
    for board in load().values():
        for panel in board.panels:
            if panel.id == panel_id:
                return panel
    raise TerminalError(f"there is no panel {panel_id!r}", "see docs/panels.md for those there are")


def ask(client: Elasticsearch, panel: Panel, narrow: Narrow) -> Table:
    """The panel's table. Raises TerminalError for one that asks nothing."""
    if not panel.index:
        raise TerminalError(f"panel {panel.id} shows no figures", "ask only for panels that have an index")
    quick = client.options(request_timeout=TIMEOUT_S, max_retries=0)
    with translate_errors(f"panel {panel.id}"):
        answer = quick.search(index=panel.index, body=narrowed(panel, narrow), **_LENIENT).body
    columns: Columns = [(column.key, column.role, column.type, column.value) for column in panel.columns]
    return Table(columns=panel.columns, rows=rows(answer, panel.body, columns), took_ms=int(answer["took"]))


def narrowed(panel: Panel, narrow: Narrow) -> dict[str, Any]:
    """The panel's body for what a viewer wants to see; what does not fit the panel's index does not narrow it."""
    body = deepcopy(panel.body)
    filters: list[dict[str, Any]] = body["query"]["bool"]["filter"]
    filters.append({"range": {panel.time_field: {"gte": narrow.since.isoformat(), "lt": narrow.until.isoformat()}}})
    fields = FIELDS.get(panel.index, {})
    wanted: dict[Narrowing, str] = {
        "category": narrow.category,
        "device": narrow.device,
        "referrer": narrow.referrer,
    }
    filters.extend({"term": {fields[name]: value}} for name, value in wanted.items() if value and name in fields)
    _set_steps(body.get("aggs", {}), narrow)
    return body


def step(length: timedelta) -> timedelta:
    """The width of one point of a series over so long a time: at most 75 of them, within reason."""
    return next((width for width in _STEPS if length <= width * POINTS), _STEPS[-1])


def choices(client: Elasticsearch, narrow: Narrow) -> dict[str, list[str]]:
    """The values a viewer may narrow by in this time, most frequent first."""
    quick = client.options(request_timeout=TIMEOUT_S, max_retries=0)
    within = {"range": {"started_at": {"gte": narrow.since.isoformat(), "lt": narrow.until.isoformat()}}}
    fields = FIELDS["session_summary"]
    aggs: dict[str, Any] = {
        str(name): {"terms": {"field": field, "size": MAX_CHOICES}} for name, field in fields.items()
    }
    with translate_errors("values to narrow by"):
        answer = quick.search(
            index="session_summary", size=0, query={"bool": {"filter": [within]}}, aggs=aggs, **_LENIENT
        ).body
    found = answer.get("aggregations", {})
    return {name: [bucket["key"] for bucket in found.get(name, {}).get("buckets", [])] for name in fields}


def _set_steps(aggs: dict[str, Any], narrow: Narrow) -> None:
    """Points of every series as the time shown demands, those without a document included."""
    width = int(step(narrow.until - narrow.since).total_seconds())
    last = narrow.until - timedelta(milliseconds=1)
    for part in aggs.values():
        if "date_histogram" in part:
            series = part["date_histogram"]
            series["fixed_interval"] = f"{max(width, _seconds(series['fixed_interval']))}s"
            series["extended_bounds"] = {"min": narrow.since.isoformat(), "max": last.isoformat()}
        _set_steps(part.get("aggs", {}), narrow)


def _seconds(interval: str) -> int:
    return int(interval.removesuffix("s"))
