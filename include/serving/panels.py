"""The questions behind the Live page's panels; each is one plain `_search`.

Sums come from `kpi_minute`; the other indices are only asked what no sum of rows can tell: distinct users,
products, places. Nothing here waits for a busy server: who watches a page asks again anyway. All raise
TransientError while Elasticsearch is away or busy, TerminalError where it refuses.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from elasticsearch import Elasticsearch

from include.contracts.documents import KPI_ALL, TIME_FIELD
from include.serving.client import errors
from include.serving.figures import Category, Figures, Point, Product, Share, Window
from include.serving.queries import Newest

MAX_ROWS = 10
MAX_CATEGORIES = 50
_SUMS = ("sessions", "purchases", "revenue", "duration_s", "late_sessions")
# Before the first document there is no index and so no alias.
_LENIENT: dict[str, Any] = {"ignore_unavailable": True, "allow_no_indices": True}


def figures(client: Elasticsearch, windows: dict[str, Window]) -> tuple[dict[str, Figures], dict[str, Figures]]:
    """Sums of named windows, and of the windows of the same length before each."""
    before = {name: Window(part.since - (part.until - part.since), part.since) for name, part in windows.items()}
    parts = windows | {f"before {name}": part for name, part in before.items()}
    whole = Window(min(part.since for part in parts.values()), max(part.until for part in parts.values()))
    filters = {name: _range("kpi_minute", part) for name, part in parts.items()}
    buckets = _aggregate(
        client,
        "kpi_minute",
        [_range("kpi_minute", whole), {"term": {"category": KPI_ALL}}],
        {"windows": {"filters": {"filters": filters}, "aggs": _sums()}},
    )
    found = buckets.get("windows", {}).get("buckets", {})
    read = {name: _figures(found.get(name, {})) for name in parts}
    return {name: read[name] for name in windows}, {name: read[f"before {name}"] for name in windows}


def users(client: Elasticsearch, windows: dict[str, Window]) -> dict[str, int]:
    """Distinct users of named windows; HyperLogLog estimates, about 2 % off at most among many."""
    whole = Window(min(part.since for part in windows.values()), max(part.until for part in windows.values()))
    filters = {name: _range("session_summary", part) for name, part in windows.items()}
    distinct = {"users": {"cardinality": {"field": "user_id"}}}
    answer = _aggregate(
        client,
        "session_summary",
        [_range("session_summary", whole)],
        {"windows": {"filters": {"filters": filters}, "aggs": distinct}},
    )
    found = answer.get("windows", {}).get("buckets", {})
    return {name: int(found.get(name, {}).get("users", {}).get("value", 0)) for name in windows}


def series(client: Elasticsearch, shown: Window, step: timedelta) -> list[Point]:
    """Steps of the window that are over, oldest first, those without a session included."""
    whole = Window(_floor(shown.since, step), _floor(shown.until - timedelta(minutes=1), step))
    histogram = {"field": "minute", "fixed_interval": f"{int(step.total_seconds())}s", "min_doc_count": 1}
    answer = _aggregate(
        client,
        "kpi_minute",
        [_range("kpi_minute", whole), {"term": {"category": KPI_ALL}}],
        {"steps": {"date_histogram": histogram, "aggs": _sums()}},
    )
    found = {bucket["key"]: _figures(bucket) for bucket in answer.get("steps", {}).get("buckets", [])}
    nothing = _figures({})
    starts = [whole.since + step * number for number in range((whole.until - whole.since) // step)]
    values = [(at, found.get(int(at.timestamp() * 1000), nothing)) for at in starts]
    return [Point(at, value.sessions, value.purchases, value.revenue) for at, value in values]


def categories(client: Elasticsearch, shown: Window) -> list[Category]:
    """Key figures by category, most sessions first."""
    terms = {"field": "category", "size": MAX_CATEGORIES, "order": {"sessions": "desc"}}
    query = {
        "bool": {"filter": [_range("kpi_minute", shown)], "must_not": [{"term": {"category": KPI_ALL}}]},
    }
    answer = _aggregate(client, "kpi_minute", [query], {"categories": {"terms": terms, "aggs": _sums()}})
    return [Category(bucket["key"], _figures(bucket)) for bucket in answer.get("categories", {}).get("buckets", [])]


def products(client: Elasticsearch, shown: Window) -> list[Product]:
    """The products viewed most, each with the name it mostly goes by."""
    # A replayed log may hold a hundred thousand products: only those that are shown get sub-aggregations.
    most = {"field": "product_id", "size": MAX_ROWS, "collect_mode": "breadth_first"}
    naming = {"terms": {"field": "name", "size": 1}}
    bought = {"filter": {"term": {"purchase_made": True}}}
    answer = _aggregate(
        client,
        "product_details",
        [_range("product_details", shown)],
        {"products": {"terms": most, "aggs": {"name": naming, "bought": bought}}},
    )
    return [_product(bucket) for bucket in answer.get("products", {}).get("buckets", [])]


def origins(client: Elasticsearch, shown: Window) -> tuple[list[Share], list[Share]]:
    """Sessions by referrer and by type of device, most first."""
    fields = ("referrer", "device_type")
    terms = {field: {"terms": {"field": field, "size": MAX_ROWS}} for field in fields}
    answer = _aggregate(client, "session_summary", [_range("session_summary", shown)], terms)
    referrers, devices = (_shares(answer.get(field, {})) for field in fields)
    return referrers, devices


def sentiment(client: Elasticsearch, shown: Window) -> list[Share]:
    """Reviews by label, most first."""
    terms = {"labels": {"terms": {"field": "label", "size": MAX_ROWS}}}
    answer = _aggregate(client, "product_sentiment", [_range("product_sentiment", shown)], terms)
    return _shares(answer.get("labels", {}))


def newest(client: Elasticsearch, now: datetime) -> Newest | None:
    """The searchable session that reached the platform last by `now`; None while there is none."""
    with errors("search in session_summary"):
        answer = client.search(
            index="session_summary",
            size=1,
            query={"range": {"received_at": {"lte": (now + timedelta(minutes=1)).isoformat()}}},
            sort=[{"received_at": "desc"}],
            source_includes=["session_id", "received_at"],
            track_total_hits=False,
            **_LENIENT,
        )
    hits = answer["hits"]["hits"]
    if not hits:
        return None
    source = hits[0]["_source"]
    return Newest(source["session_id"], datetime.fromisoformat(source["received_at"]))


def _aggregate(
    client: Elasticsearch, alias: str, filters: list[dict[str, Any]], aggs: dict[str, Any]
) -> dict[str, Any]:
    with errors(f"search in {alias}"):
        answer = client.search(
            index=alias, size=0, query={"bool": {"filter": filters}}, aggs=aggs, track_total_hits=False, **_LENIENT
        )
    found: dict[str, Any] = answer.get("aggregations", {})
    return found


def _range(alias: str, part: Window) -> dict[str, Any]:
    return {"range": {TIME_FIELD[alias]: {"gte": part.since.isoformat(), "lt": part.until.isoformat()}}}


def _sums() -> dict[str, Any]:
    return {name: {"sum": {"field": name}} for name in _SUMS}


def _figures(bucket: dict[str, Any]) -> Figures:
    values = {name: float(bucket.get(name, {}).get("value") or 0.0) for name in _SUMS}
    sessions, purchases = int(values["sessions"]), int(values["purchases"])
    return Figures(
        sessions=sessions,
        purchases=purchases,
        revenue=values["revenue"],
        conversion=purchases / sessions if sessions else 0.0,
        mean_duration_s=values["duration_s"] / sessions if sessions else 0.0,
        late_sessions=int(values["late_sessions"]),
    )


def _product(bucket: dict[str, Any]) -> Product:
    names = bucket["name"]["buckets"]
    name = names[0]["key"] if names else bucket["key"]
    return Product(bucket["key"], name, int(bucket["doc_count"]), int(bucket["bought"]["doc_count"]))


def _shares(found: dict[str, Any]) -> list[Share]:
    return [Share(bucket["key"], int(bucket["doc_count"])) for bucket in found.get("buckets", [])]


def _floor(at: datetime, step: timedelta) -> datetime:
    seconds = int(step.total_seconds())
    return datetime.fromtimestamp(int(at.timestamp()) // seconds * seconds, UTC)
