"""JSON API of the Live page: one panel per request, cached for most of its refresh interval."""

import asyncio
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

from fastapi import status

from include.contracts.errors import ShowroomError, TerminalError
from include.dashboards.model import Dashboard, Panel
from showroom.web.cache import CoalescingCache
from showroom.web.chart_data import render_panel
from showroom.web.dashboard_view import unsupported_filters
from showroom.web.data_sources import DataSources, SourceFailure
from showroom.web.formatting import format_clock, format_duration
from showroom.web.query_params import DashboardQuery, previous_period

MAX_CONCURRENT_QUERIES = 6
MAX_CACHED_RESPONSES = 400
TTL_RATIO = 0.8
"""Part of the refresh interval for which a response is cached, so that every refresh gets a new one."""
MAX_FRESH_AGE_S = 60.0

ApiResponse = tuple[int, dict[str, Any]]
"""HTTP status and JSON content."""


class PanelService:
    """Responses for panels; equal queries share one cached response."""

    def __init__(self, sources: Callable[[], DataSources], dashboards: Callable[[], Mapping[str, Dashboard]]) -> None:
        self._sources = sources
        self._dashboards = dashboards
        self._cache: CoalescingCache[ApiResponse] = CoalescingCache(
            MAX_CONCURRENT_QUERIES,
            MAX_CACHED_RESPONSES,
            is_cacheable=lambda response: response[0] == status.HTTP_200_OK,
        )

    async def panel(self, panel_id: str, query: DashboardQuery) -> ApiResponse:
        """Return the data of one panel."""
        try:
            panel = self._find_panel(panel_id)
        except TerminalError as error:
            return error_response(error, status.HTTP_404_NOT_FOUND)
        return await self._cached(("panel", panel_id), query, lambda: self._load_panel(panel, query))

    async def overview(self, query: DashboardQuery) -> ApiResponse:
        """Return the filter choices and the age of the latest session."""
        return await self._cached(("overview",), query, lambda: self._load_overview(query))

    async def _cached(
        self, endpoint: tuple[Hashable, ...], query: DashboardQuery, load: Callable[[], ApiResponse]
    ) -> ApiResponse:
        key = (*endpoint, query.span, query.since, query.until, *query.active_filters.items())
        try:
            future: Future[ApiResponse] = self._cache.get(key, _catch_errors(load), query.refresh_s * TTL_RATIO)
        except ShowroomError as error:
            return error_response(error, status.HTTP_503_SERVICE_UNAVAILABLE)
        # Because other requests share the future, a cancelled request must not cancel it.
        return await asyncio.shield(asyncio.wrap_future(future))

    def _find_panel(self, panel_id: str) -> Panel:
        panels = {
            panel.id: panel for dashboard in self._dashboards().values() for panel in dashboard.panels if panel.index
        }
        if panel_id not in panels:
            raise TerminalError(f"there is no panel {panel_id[:60]!r} with data", "reload the page")
        return panels[panel_id]

    def _load_panel(self, panel: Panel, query: DashboardQuery) -> ApiResponse:
        now = datetime.now(UTC)
        filters = query.to_filters(now)
        sources = self._sources()
        table = sources.panel(panel, filters)
        if isinstance(table, SourceFailure):
            return _failure_response(table)
        previous = sources.panel(panel, previous_period(filters)) if panel.kind == "metric" else None
        previous_table = None if isinstance(previous, SourceFailure) else previous
        return status.HTTP_200_OK, {
            **render_panel(panel, table, filters, now, previous_table),
            "unsupported_filters": unsupported_filters(panel, self._dashboards()[panel.dashboard], query),
            "updated": format_clock(now),
            "took_ms": table.took_ms,
        }

    def _load_overview(self, query: DashboardQuery) -> ApiResponse:
        now = datetime.now(UTC)
        overview = self._sources().overview(query.to_filters(now))
        if isinstance(overview, SourceFailure):
            return _failure_response(overview)
        age_s = max(0.0, (now - overview.latest_at).total_seconds()) if overview.latest_at else None
        return status.HTTP_200_OK, {
            "choices": overview.choices,
            "is_empty": age_s is None,
            "freshness": "no session yet" if age_s is None else f"newest session {format_duration(age_s)} ago",
            "is_fresh": age_s is not None and age_s < MAX_FRESH_AGE_S,
        }


def error_response(error: ShowroomError, code: int = status.HTTP_422_UNPROCESSABLE_CONTENT) -> ApiResponse:
    """Return an error as a response."""
    return code, {"state": "error", "source": "", "message": error.message, "remedy": error.remedy}


def _failure_response(failure: SourceFailure) -> ApiResponse:
    """Return 503 for a failure that can pass, 502 for one that cannot."""
    code = status.HTTP_503_SERVICE_UNAVAILABLE if failure.is_transient else status.HTTP_502_BAD_GATEWAY
    state = "unavailable" if failure.is_transient else "error"
    return code, {"state": state, "source": failure.source, "message": failure.message, "remedy": failure.remedy}


def _catch_errors(load: Callable[[], ApiResponse]) -> Callable[[], ApiResponse]:
    """Return `load` with invalid settings as a response; the settings are read at the first query."""

    def load_or_error() -> ApiResponse:
        try:
            return load()
        except ShowroomError as error:
            return _failure_response(SourceFailure.from_error("The configuration", error))

    return load_or_error
