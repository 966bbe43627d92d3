"""View model of the Live page: tabs, filters and panel positions. The browser requests each panel's data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from markupsafe import Markup

from include.contracts.errors import TerminalError
from include.dashboards.model import Dashboard, Link, Panel
from showroom.web.markdown import is_safe_url, render_markdown
from showroom.web.query_params import CUSTOM, FILTER_NAMES, DashboardQuery

SPAN_LABELS = {"hour": "last hour", "day": "last day", "week": "last week", "14d": "last 14 days", CUSTOM: "custom"}
ALL_LABELS = {"category": "all categories", "device": "all devices", "referrer": "all referrers"}
HOST_LABEL = "Airflow"
"""Label of links to Airflow, which are omitted because the page is shown inside Airflow."""


class Tab(NamedTuple):
    """Link to one dashboard."""

    id: str
    name: str
    url: str
    is_current: bool


class PanelView(NamedTuple):
    """One panel and its position on the grid of 48 columns; lines and columns count from 1."""

    id: str
    title: str
    description: str
    kind: str
    column: int
    line: int
    width: int
    height: int
    text: Markup


class Choice(NamedTuple):
    """One option of a filter."""

    value: str
    label: str
    is_selected: bool


class SpanChoice(NamedTuple):
    """One time range to select, and its refresh interval."""

    value: str
    label: str
    is_selected: bool
    refresh_s: float


@dataclass(frozen=True, kw_only=True)
class DashboardView:
    """Data of the template. `hidden_filters`: active filters that no panel of this dashboard supports."""

    query: DashboardQuery
    name: str
    description: str
    tabs: tuple[Tab, ...]
    spans: tuple[SpanChoice, ...]
    filters: dict[str, tuple[Choice, ...]]
    hidden_filters: dict[str, str]
    since: str
    until: str
    panels: tuple[PanelView, ...]
    links: tuple[Link, ...]


def dashboard_view(
    dashboards: Mapping[str, Dashboard], query: DashboardQuery, urls: Mapping[str, str]
) -> DashboardView:
    """Build the view of a dashboard.

    Args:
        dashboards: All dashboards by id.
        query: Dashboard, time range and filters.
        urls: URLs of other programs, by the label of the link.

    Raises:
        TerminalError: There is no dashboard of this id.
    """
    dashboard = dashboards.get(query.dashboard)
    if dashboard is None:
        raise TerminalError(f"there is no dashboard {query.dashboard[:60]!r}", f"choose one of {', '.join(dashboards)}")
    supported = _supported_filters(dashboard)
    return DashboardView(
        query=query,
        name=dashboard.name,
        description=dashboard.description,
        tabs=tuple(
            Tab(other.id, other.name, query.url(dashboard=other.id), other is dashboard)
            for other in dashboards.values()
        ),
        spans=tuple(
            SpanChoice(name, label, name == query.span, replace(query, span=name).refresh_s)
            for name, label in SPAN_LABELS.items()
        ),
        filters={name: _choices(name, getattr(query, name)) for name in supported},
        hidden_filters={name: value for name, value in query.active_filters.items() if name not in supported},
        since=f"{query.since:%Y-%m-%dT%H:%M}" if query.since else "",
        until=f"{query.until:%Y-%m-%dT%H:%M}" if query.until else "",
        panels=_panel_views(dashboard.panels),
        links=tuple(_links(dashboard.panels, urls)),
    )


def unsupported_filters(panel: Panel, dashboard: Dashboard, query: DashboardQuery) -> str:
    """Return the active filters of the dashboard that the panel does not support, as text; empty if there are none."""
    supported = _supported_filters(dashboard)
    return ", ".join(
        ALL_LABELS[name] for name in query.active_filters if name in supported and name not in panel.supported_filters
    )


def _supported_filters(dashboard: Dashboard) -> list[str]:
    """Return the filters that at least one panel of the dashboard supports."""
    return [name for name in FILTER_NAMES if any(name in panel.supported_filters for panel in dashboard.panels)]


def _choices(name: str, selected: str) -> tuple[Choice, ...]:
    all_values = Choice("", ALL_LABELS[name], not selected)
    return (all_values, Choice(selected, selected, True)) if selected else (all_values,)


def _panel_views(panels: Sequence[Panel]) -> tuple[PanelView, ...]:
    """Return the panels in reading order, moved up because panels of links are shown below the dashboard."""
    shown = sorted((panel for panel in panels if panel.kind != "links"), key=lambda panel: (panel.grid.y, panel.grid.x))
    top = min((panel.grid.y for panel in shown), default=0)
    return tuple(
        PanelView(
            id=panel.id,
            title=panel.title,
            description=panel.description,
            kind=panel.kind,
            column=panel.grid.x + 1,
            line=panel.grid.y - top + 1,
            width=panel.grid.w,
            height=panel.grid.h,
            text=render_markdown(panel.text),
        )
        for panel in shown
    )


def _links(panels: Sequence[Panel], urls: Mapping[str, str]) -> list[Link]:
    """Return the links to other programs; the tabs are the links to the other dashboards."""
    links = [link for panel in panels for link in panel.links if link.url and link.label != HOST_LABEL]
    resolved = [Link(label=link.label, url=urls.get(link.label, link.url)) for link in links]
    return [link for link in resolved if is_safe_url(link.url)]
