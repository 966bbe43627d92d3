"""A dashboard with a panel of every kind, and data sources with results that a test sets."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from include.contracts.settings import FlinkSettings, LocalSettings, Settings
from include.dashboards.model import Column, Dashboard, Filters, Grid, Link, Panel, Table
from showroom.web import auth
from showroom.web.app import create_app
from showroom.web.data_sources import DataSources, Overview, SourceFailure

ATTACK = "<script>alert(1)</script>"
NOW = datetime(2026, 11, 23, 12, 30, 20, tzinfo=UTC)
FAILURE = SourceFailure("Elasticsearch", "it does not answer", "start it")


def dimension(key: str, kind: Any = "text", label: str = "") -> Column:
    return Column(key=key, label=label or key, role="dimension", type=kind, format="time" if kind == "time" else "text")


def metric(key: str = "m0", format_: Any = "number", label: str = "sessions", **rest: Any) -> Column:
    return Column(key=key, label=label, role="metric", type="number", format=format_, **rest)


def field(key: str, kind: Any = "text") -> Column:
    return Column(key=key, label=key, role="field", type=kind, format="time" if kind == "time" else "text")


def panel(kind: Any, *columns: Column, **rest: Any) -> Panel:
    defaults: dict[str, Any] = {
        "id": f"shop-{kind}",
        "dashboard": "shop",
        "title": f"A {kind}",
        "grid": Grid(0, 3, 24, 8),
        "index": "session_summary",
        "time_field": "started_at",
        "supported_filters": ("category", "device"),
        "body": {"size": 0, "query": {"bool": {"filter": []}}},
    }
    return Panel(**(defaults | {"kind": kind, "columns": columns} | rest))


METRIC = panel("metric", metric(), supported_filters=("category",))
BAR = panel("bar", dimension("dimension"), metric(), description=f"Of {ATTACK}", grid=Grid(24, 3, 24, 8))
TEXT = panel("markdown", index="", text=f"**Bold** {ATTACK}", grid=Grid(0, 11, 48, 3))
LINKS = panel(
    "links",
    index="",
    grid=Grid(0, 0, 48, 3),
    links=(
        Link(label="Products", dashboard="products"),
        Link(label="Flink", url="http://other-host:1"),
        Link(label="Trap", url="javascript:alert(1)"),
        Link(label="Airflow", url="http://other-host:2"),
    ),
)
DASHBOARDS = {
    "shop": Dashboard(id="shop", name="Shop now", description="What visitors do", panels=(BAR, METRIC, TEXT, LINKS)),
    "products": Dashboard(id="products", name="Products & more", description="", panels=()),
}


class FakeDataSources(DataSources):
    """Returns the results that a test sets, and records the queries."""

    def __init__(self) -> None:
        super().__init__(
            Settings(
                local=LocalSettings(state_dir=Path(".showroom/missing")), flink=FlinkSettings(url="http://flink:8081")
            )
        )
        self.queries: list[tuple[str, Filters]] = []
        self.rows: dict[str, list[list[Any]]] = {"shop-metric": [[7]], "shop-bar": [["living_room", 3]]}
        self.failure: SourceFailure | None = None
        self.result = Overview({"category": ["living_room"], "device": [], "referrer": []}, datetime.now(UTC))

    def panel(self, panel: Panel, filters: Filters) -> Table | SourceFailure:
        self.queries.append((panel.id, filters))
        return self.failure or Table(columns=panel.columns, rows=self.rows[panel.id], took_ms=2)

    def overview(self, filters: Filters) -> Overview | SourceFailure:
        self.queries.append(("overview", filters))
        return self.failure or self.result


def logged_in_client(open_sources: Any, dashboards: Any = lambda: DASHBOARDS) -> TestClient:
    """Return a client of the pages that passes Airflow's login."""
    app = create_app(open_sources, dashboards)
    app.dependency_overrides[auth.require_login] = lambda: None
    return TestClient(app)
