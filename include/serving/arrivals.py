"""Counts for reconciliation: documents by arrival time, and documents of given sessions."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from elasticsearch import Elasticsearch

from include.contracts.index_documents import KPI_ALL
from include.serving.client import errors, with_retries
from include.serving.queries import count

PAGE = 5_000
# Before the first document there is neither index nor alias. A partial response would count as data loss.
_COMPLETE: dict[str, Any] = {
    "ignore_unavailable": True,
    "allow_no_indices": True,
    "allow_partial_search_results": False,
}


def count_arrived(client: Elasticsearch, alias: str, start: datetime, end: datetime, since: str) -> int:
    """Count documents of sessions that arrived in [start, end) and started in month `since` (`YYYY-MM`) or later."""
    filters = [
        {"range": {"received_at": {"gte": start.isoformat(), "lt": end.isoformat()}}},
        {"range": {"started_at": {"gte": _first_day(since)}}},
    ]
    return count(client, alias, {"bool": {"filter": filters}})


def rows_by_session(client: Elasticsearch, alias: str, session_ids: Collection[str]) -> dict[tuple[str, str], int]:
    """Return (user_id, session_id) -> number of documents; sessions without documents are omitted."""
    counts: dict[tuple[str, str], int] = {}
    composite: dict[str, Any] = {
        "size": PAGE,
        "sources": [{name: {"terms": {"field": name}}} for name in ("user_id", "session_id")],
    }
    while True:
        buckets, after = _page(client, alias, session_ids, composite)
        counts |= {(bucket["key"]["user_id"], bucket["key"]["session_id"]): bucket["doc_count"] for bucket in buckets}
        if after is None or len(buckets) < PAGE:
            return counts
        composite["after"] = after


def kpi_sessions(client: Elasticsearch, day: str, since: str) -> int:
    """Count sessions in `kpi_minute` that arrived on a day (`YYYY-MM-DD`) and started in the month `since` or later."""
    filters = [
        {"term": {"category": KPI_ALL}},
        {"term": {"arrival_date": day}},
        {"range": {"minute": {"gte": _first_day(since)}}},
    ]
    sums = {"sessions": {"sum": {"field": "sessions"}}}
    response = _search(client, "kpi_minute", {"bool": {"filter": filters}}, sums)
    return int(response.get("aggregations", {}).get("sessions", {}).get("value") or 0)


def _page(
    client: Elasticsearch, alias: str, session_ids: Collection[str], composite: dict[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    query = {"bool": {"filter": [{"terms": {"session_id": list(session_ids)}}]}}
    response = _search(client, alias, query, {"sessions": {"composite": composite}})
    result = response.get("aggregations", {}).get("sessions", {})
    return result.get("buckets", []), result.get("after_key")


def _search(client: Elasticsearch, alias: str, query: dict[str, Any], aggregations: dict[str, Any]) -> dict[str, Any]:
    def request() -> dict[str, Any]:
        with errors(f"search in {alias}"):
            response = client.search(index=alias, size=0, query=query, aggs=aggregations, **_COMPLETE)
            return dict(response.body)

    return with_retries(request)


def _first_day(month: str) -> str:
    return f"{month}-01T00:00:00Z"
