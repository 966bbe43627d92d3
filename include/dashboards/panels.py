"""Load the compiled panels and query Elasticsearch for them.

Every query raises TransientError while Elasticsearch is unavailable or overloaded, TerminalError if it rejects the
query.
"""

from copy import deepcopy
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from elasticsearch import Elasticsearch

from include.clients.elasticsearch import translate_errors
from include.contracts.errors import TerminalError
from include.dashboards.model import FILTER_FIELDS, Dashboard, FilterName, Filters, Panel, Table
from include.dashboards.response_rows import Columns, rows

PANELS_FILE = Path(__file__).parent / "generated" / "panels.json"
TIMEOUT_S = 5.0
MAX_POINTS = 75
MAX_CHOICES = 100
# Before the first document there is neither index nor alias. A partial response would show incorrect values.
_SEARCH_OPTIONS: dict[str, Any] = {
    "ignore_unavailable": True,
    "allow_no_indices": True,
    "allow_partial_search_results": False,
}
_INTERVALS = (
    *(timedelta(minutes=minutes) for minutes in (1, 5, 10, 30)),
    *(timedelta(hours=hours) for hours in (1, 3, 12)),
    *(timedelta(days=days) for days in (1, 7, 30)),
)


@cache
def load_dashboards() -> dict[str, Dashboard]:
    """Return all dashboards by id, in the order of their tabs."""
    dashboards = msgspec.json.decode(PANELS_FILE.read_bytes(), type=list[Dashboard])
    return {dashboard.id: dashboard for dashboard in dashboards}


def find_panel(panel_id: str) -> Panel:
    """Return one panel. Raises TerminalError if there is no panel of this id."""
    for dashboard in load_dashboards().values():
        for panel in dashboard.panels:
            if panel.id == panel_id:
                return panel
    raise TerminalError(f"there is no panel {panel_id!r}", "docs/panels.md lists all panels")


def query_panel(client: Elasticsearch, panel: Panel, filters: Filters) -> Table:
    """Query Elasticsearch for one panel. Raises TerminalError if the panel has no index."""
    if not panel.index:
        raise TerminalError(f"panel {panel.id} has no index", "query only panels that have an index")
    quick = client.options(request_timeout=TIMEOUT_S, max_retries=0)
    with translate_errors(f"panel {panel.id}"):
        response = quick.search(index=panel.index, body=search_body(panel, filters), **_SEARCH_OPTIONS).body
    columns: Columns = [(column.key, column.role, column.type, column.value) for column in panel.columns]
    return Table(columns=panel.columns, rows=rows(response, panel.body, columns), took_ms=int(response["took"]))


def search_body(panel: Panel, filters: Filters) -> dict[str, Any]:
    """Return the panel's body with time range and filters; filters that its index does not support are ignored."""
    body = deepcopy(panel.body)
    clauses: list[dict[str, Any]] = body["query"]["bool"]["filter"]
    clauses.append({"range": {panel.time_field: _time_range(filters)}})
    fields = FILTER_FIELDS.get(panel.index, {})
    values: dict[FilterName, str] = {
        "category": filters.category,
        "device": filters.device,
        "referrer": filters.referrer,
    }
    clauses.extend({"term": {fields[name]: value}} for name, value in values.items() if value and name in fields)
    _set_intervals(body.get("aggs", {}), filters)
    return body


def interval(length: timedelta) -> timedelta:
    """Return the interval of a time series over `length`: at most 75 points for up to a year."""
    return next((width for width in _INTERVALS if length <= width * MAX_POINTS), _INTERVALS[-1])


def filter_choices(client: Elasticsearch, filters: Filters) -> dict[str, list[str]]:
    """Return the values of each filter in the time range, most frequent first."""
    quick = client.options(request_timeout=TIMEOUT_S, max_retries=0)
    within = {"range": {"started_at": _time_range(filters)}}
    fields = FILTER_FIELDS["session_summary"]
    aggs: dict[str, Any] = {
        str(name): {"terms": {"field": field, "size": MAX_CHOICES}} for name, field in fields.items()
    }
    with translate_errors("filter choices"):
        response = quick.search(
            index="session_summary", size=0, query={"bool": {"filter": [within]}}, aggs=aggs, **_SEARCH_OPTIONS
        ).body
    results = response.get("aggregations", {})
    return {name: [bucket["key"] for bucket in results.get(name, {}).get("buckets", [])] for name in fields}


def _time_range(filters: Filters) -> dict[str, str]:
    return {"gte": filters.since.isoformat(), "lt": filters.until.isoformat()}


def _set_intervals(aggs: dict[str, Any], filters: Filters) -> None:
    """Set interval and bounds of each date histogram, so that points without documents are returned too."""
    width = int(interval(filters.until - filters.since).total_seconds())
    last: datetime = filters.until - timedelta(milliseconds=1)
    for aggregation in aggs.values():
        if "date_histogram" in aggregation:
            histogram = aggregation["date_histogram"]
            histogram["fixed_interval"] = f"{max(width, _seconds(histogram['fixed_interval']))}s"
            histogram["extended_bounds"] = {"min": filters.since.isoformat(), "max": last.isoformat()}
        _set_intervals(aggregation.get("aggs", {}), filters)


def _seconds(fixed_interval: str) -> int:
    return int(fixed_interval.removesuffix("s"))
