"""Typed queries; each is one `_search` or `_count`.

An alias without an index, before its first document, is treated as empty.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from elasticsearch import Elasticsearch

from include.clients.elasticsearch import retry_busy, translate_errors
from include.contracts.index_documents import INDICES, KPI_ALL

MAX_CATEGORIES = 1_000
MAX_HITS = 10_000
MAX_CLOCK_SKEW = timedelta(minutes=1)
# Before the first document there is neither index nor alias.
_LENIENT: dict[str, Any] = {"ignore_unavailable": True, "allow_no_indices": True}


class Kpi(NamedTuple):
    """KPIs of one category, summed over the rows of `kpi_minute`."""

    category: str
    sessions: int
    purchases: int
    revenue: float
    conversion: float
    mean_duration_s: float
    late_sessions: int


class LatestSession(NamedTuple):
    """The searchable session that arrived last."""

    session_id: str
    received_at: datetime


def refresh(client: Elasticsearch) -> None:
    """Refresh all indices, so that all stored documents are searchable."""
    with translate_errors("refresh"):
        client.indices.refresh(index=",".join(f"{alias}-*" for alias in INDICES), **_LENIENT)


def count(client: Elasticsearch, alias: str, query: Mapping[str, Any] | None = None) -> int:
    """Count the searchable documents of an alias, all or those that match a query."""

    def request() -> int:
        with translate_errors(f"count of {alias}"):
            return int(client.count(index=alias, query=query, **_LENIENT)["count"])

    return retry_busy(request)


def counts(client: Elasticsearch) -> dict[str, int]:
    """Count the searchable documents of every index."""
    return {alias: count(client, alias) for alias in INDICES}


def kpi_by_category(client: Elasticsearch, since: datetime | None = None, until: datetime | None = None) -> list[Kpi]:
    """Return KPIs by category over the minutes in [since, until), most sessions first.

    Category `all` counts each session once; the other categories count a session once per view.
    """
    window = {"gte": since.isoformat() if since else None, "lt": until.isoformat() if until else None}
    sums = ("sessions", "purchases", "revenue", "duration_s", "late_sessions")
    aggregations = {
        "category": {
            "terms": {"field": "category", "size": MAX_CATEGORIES, "order": {"sessions": "desc"}},
            "aggs": {name: {"sum": {"field": name}} for name in sums},
        }
    }
    response = _search(client, "kpi_minute", size=0, query={"range": {"minute": window}}, aggs=aggregations)
    buckets = response.get("aggregations", {}).get("category", {}).get("buckets", [])
    return [_kpi(bucket) for bucket in buckets]


def kpi_total(client: Elasticsearch, since: datetime | None = None, until: datetime | None = None) -> Kpi:
    """Return the KPIs of all sessions."""
    rows = kpi_by_category(client, since, until)
    return next((row for row in rows if row.category == KPI_ALL), Kpi(KPI_ALL, 0, 0, 0.0, 0.0, 0.0, 0))


def sum_revenue(client: Elasticsearch) -> float:
    """Return the net revenue over `session_summary`, in shop currency."""
    response = _search(client, "session_summary", size=0, aggs={"revenue": {"sum": {"field": "purchase_amount"}}})
    return float(response.get("aggregations", {}).get("revenue", {}).get("value") or 0.0)


def latest_session(client: Elasticsearch) -> LatestSession | None:
    """Return the searchable session that arrived last; None if there is none."""
    hits = _search(
        client,
        "session_summary",
        size=1,
        sort=[{"received_at": "desc"}, {"session_id": "desc"}],
        source=["session_id", "received_at"],
    )["hits"]["hits"]
    return _to_session(hits)


def latest_session_by(client: Elasticsearch, now: datetime) -> LatestSession | None:
    """Return the searchable session that arrived last by `now`; without retries, because the page polls anyway."""
    with translate_errors("search in session_summary"):
        response = client.search(
            index="session_summary",
            size=1,
            query={"range": {"received_at": {"lte": (now + MAX_CLOCK_SKEW).isoformat()}}},
            sort=[{"received_at": "desc"}],
            source_includes=["session_id", "received_at"],
            track_total_hits=False,
            **_LENIENT,
        )
    return _to_session(response["hits"]["hits"])


def sessions_since(
    client: Elasticsearch, received: datetime, seen: Collection[str] = (), size: int = MAX_HITS
) -> dict[str, datetime]:
    """Return session_id -> arrival of searchable sessions received at or after a time, without `seen`; oldest first."""
    query: dict[str, Any] = {"bool": {"filter": [{"range": {"received_at": {"gte": received.isoformat()}}}]}}
    if seen:
        query["bool"]["must_not"] = [{"terms": {"session_id": sorted(seen)}}]
    hits = _search(
        client,
        "session_summary",
        size=size,
        query=query,
        sort=[{"received_at": "asc"}],
        source=["session_id", "received_at"],
    )["hits"]["hits"]
    return {hit["_source"]["session_id"]: datetime.fromisoformat(hit["_source"]["received_at"]) for hit in hits}


def documents(client: Elasticsearch, alias: str, ids: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return id -> source of the searchable documents with these ids; missing ones are omitted. At most 10,000 ids."""
    response = _search(client, alias, size=len(ids), query={"ids": {"values": sorted(ids)}})
    return {hit["_id"]: hit["_source"] for hit in response["hits"]["hits"]}


def searchable_sessions(client: Elasticsearch, session_ids: Collection[str]) -> set[str]:
    """Return which of these session ids `session_summary` has, of any user. At most 5,000 ids."""
    query = {"bool": {"filter": [{"terms": {"session_id": sorted(session_ids)}}]}}
    response = _search(client, "session_summary", size=2 * len(session_ids), query=query, source=["session_id"])
    return {hit["_source"]["session_id"] for hit in response["hits"]["hits"]}


def _search(client: Elasticsearch, alias: str, **body: Any) -> dict[str, Any]:
    def request() -> dict[str, Any]:
        with translate_errors(f"search in {alias}"):
            result: dict[str, Any] = client.search(index=alias, track_total_hits=False, **_LENIENT, **body).body
            return result

    return retry_busy(request)


def _to_session(hits: Sequence[Mapping[str, Any]]) -> LatestSession | None:
    if not hits:
        return None
    source = hits[0]["_source"]
    return LatestSession(source["session_id"], datetime.fromisoformat(source["received_at"]))


def _kpi(bucket: Mapping[str, Any]) -> Kpi:
    sessions, purchases = int(bucket["sessions"]["value"]), int(bucket["purchases"]["value"])
    return Kpi(
        category=bucket["key"],
        sessions=sessions,
        purchases=purchases,
        revenue=float(bucket["revenue"]["value"]),
        conversion=purchases / sessions if sessions else 0.0,
        mean_duration_s=float(bucket["duration_s"]["value"]) / sessions if sessions else 0.0,
        late_sessions=int(bucket["late_sessions"]["value"]),
    )
