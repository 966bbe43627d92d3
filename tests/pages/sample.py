"""A board by hand, with a panel of every kind, and sources that answer as they are told."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from include.contracts.settings import Settings
from include.serving.panels import Board, Column, Grid, Link, Narrow, Panel, Table
from showroom.pages import login
from showroom.pages.app import create_app
from showroom.pages.sources import About, Away, Sources

ATTACK = "<script>alert(1)</script>"
NOW = datetime(2026, 11, 23, 12, 30, 20, tzinfo=UTC)
GONE = Away("Elasticsearch", "it does not answer", "start it")


def dimension(key: str, kind: Any = "text", label: str = "") -> Column:
    return Column(key=key, label=label or key, role="dimension", type=kind, format="time" if kind == "time" else "text")


def metric(key: str = "m0", shown: Any = "number", label: str = "sessions", **rest: Any) -> Column:
    return Column(key=key, label=label, role="metric", type="number", format=shown, **rest)


def field(key: str, kind: Any = "text") -> Column:
    return Column(key=key, label=key, role="field", type=kind, format="time" if kind == "time" else "text")


def panel(kind: Any, *columns: Column, **rest: Any) -> Panel:
    about: dict[str, Any] = {
        "id": f"shop-{kind}",
        "board": "shop",
        "title": f"A {kind}",
        "grid": Grid(0, 3, 24, 8),
        "index": "session_summary",
        "time_field": "started_at",
        "narrowed_by": ("category", "device"),
        "body": {"size": 0, "query": {"bool": {"filter": []}}},
    }
    return Panel(**(about | {"kind": kind, "columns": columns} | rest))


METRIC = panel("metric", metric(), narrowed_by=("category",))
BAR = panel("bar", dimension("dimension"), metric(), description=f"Of {ATTACK}", grid=Grid(24, 3, 24, 8))
TEXT = panel("markdown", index="", text=f"**Bold** {ATTACK}", grid=Grid(0, 11, 48, 3))
LINKS = panel(
    "links",
    index="",
    grid=Grid(0, 0, 48, 3),
    links=(
        Link(label="Products", board="products"),
        Link(label="Flink", url="http://elsewhere:1"),
        Link(label="Trap", url="javascript:alert(1)"),
        Link(label="Airflow", url="http://elsewhere:2"),
    ),
)
BOARDS = {
    "shop": Board(id="shop", name="Shop now", description="What visitors do", panels=(BAR, METRIC, TEXT, LINKS)),
    "products": Board(id="products", name="Products & more", description="", panels=()),
}


class Told(Sources):
    """Answers as told, and notes what it was asked."""

    def __init__(self) -> None:
        super().__init__(Settings(state_dir=Path(".showroom/nowhere"), flink_url="http://flink:8081"))
        self.asked: list[tuple[str, Narrow]] = []
        self.rows: dict[str, list[list[Any]]] = {"shop-metric": [[7]], "shop-bar": [["living_room", 3]]}
        self.gone: Away | None = None
        self.found = About({"category": ["living_room"], "device": [], "referrer": []}, datetime.now(UTC))

    def panel(self, panel: Panel, narrow: Narrow) -> Table | Away:
        self.asked.append((panel.id, narrow))
        return self.gone or Table(columns=panel.columns, rows=self.rows[panel.id], took_ms=2)

    def about(self, narrow: Narrow) -> About | Away:
        self.asked.append(("about", narrow))
        return self.gone or self.found


def browser(open_sources: Any, boards: Any = lambda: BOARDS) -> TestClient:
    """The pages, for someone who is logged in."""
    app = create_app(open_sources, boards)
    app.dependency_overrides[login.require_login] = lambda: None
    return TestClient(app)
