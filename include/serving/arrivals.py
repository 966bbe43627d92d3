"""Counts for reconciliation: documents by the time of arrival, and documents of given sessions."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from elasticsearch import Elasticsearch

from include.clients.elasticsearch import retry_busy, translate_errors
from include.contracts.documents import KPI_ALL
from include.serving.queries import count

PAGE = 5_000
# Before the first document there is no index and so no alias. A part of the answer would count as a loss.
_WHOLE: dict[str, Any] = {
    "ignore_unavailable": True,
    "allow_no_indices": True,
    "allow_partial_search_results": False,
}


def count_arrived(client: Elasticsearch, alias: str, start: datetime, end: datetime, since: str) -> int:
    """Documents of sessions that arrived in [start, end) and started in the month `since` (`YYYY-MM`) or later."""
    filters = [
        {"range": {"received_at": {"gte": start.isoformat(), "lt": end.isoformat()}}},
        {"range": {"started_at": {"gte": _first_day(since)}}},
    ]
    return count(client, alias, {"bool": {"filter": filters}})


def rows_by_session(client: Elasticsearch, alias: str, session_ids: Collection[str]) -> dict[tuple[str, str], int]:
    """(user_id, session_id) -> documents of an index, of the sessions of these ids that have any."""
    found: dict[tuple[str, str], int] = {}
    composite: dict[str, Any] = {
        "size": PAGE,
        "sources": [{name: {"terms": {"field": name}}} for name in ("user_id", "session_id")],
    }
    while True:
        buckets, after = _page(client, alias, session_ids, composite)
        found |= {(bucket["key"]["user_id"], bucket["key"]["session_id"]): bucket["doc_count"] for bucket in buckets}
        if after is None or len(buckets) < PAGE:
            return found
        composite["after"] = after


def kpi_sessions(client: Elasticsearch, day: str, since: str) -> int:
    """Sessions in `kpi_minute` that arrived on a day (`YYYY-MM-DD`) and started in the month `since` or later."""
    filters = [
        {"term": {"category": KPI_ALL}},
        {"term": {"received_day": day}},
        {"range": {"minute": {"gte": _first_day(since)}}},
    ]
    sums = {"sessions": {"sum": {"field": "sessions"}}}
    answer = _search(client, "kpi_minute", {"bool": {"filter": filters}}, sums)
    return int(answer.get("aggregations", {}).get("sessions", {}).get("value") or 0)


def _page(
    client: Elasticsearch, alias: str, session_ids: Collection[str], composite: dict[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    query = {"bool": {"filter": [{"terms": {"session_id": list(session_ids)}}]}}
    answer = _search(client, alias, query, {"sessions": {"composite": composite}})
    found = answer.get("aggregations", {}).get("sessions", {})
    return found.get("buckets", []), found.get("after_key")


def _search(client: Elasticsearch, alias: str, query: dict[str, Any], aggregations: dict[str, Any]) -> dict[str, Any]:
    def ask() -> dict[str, Any]:
        with translate_errors(f"search in {alias}"):
            answer = client.search(index=alias, size=0, query=query, aggs=aggregations, **_WHOLE)
            return dict(answer.body)

    return retry_busy(ask)


def _first_day(month: str) -> str:
    return f"{month}-01T00:00:00Z"
