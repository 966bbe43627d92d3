"""What the Live page shows, made out of an overview of the indices."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from include.serving.figures import SPANS, Figures, Share
from include.serving.overview import Overview
from showroom.pages import wording

FRESH_S = 60.0
MAX_LABEL = 28
LINE = {"mode": "lines"}
AREA = {"mode": "lines", "fill": "tozeroy"}
MOODS = {"positive": "good", "negative": "poor", "neutral": "plain"}


class Tile(NamedTuple):
    """One key figure: the shown span's, how it changed against the span before, and the other spans'."""

    name: str
    value: str
    change: str
    trend: str
    others: tuple[str, ...]


class CategoryRow(NamedTuple):
    """One line of the table of categories."""

    name: str
    sessions: str
    purchases: str
    conversion: str
    revenue: str
    part: float


@dataclass(frozen=True, kw_only=True)
class LivePage:
    """Everything the template needs. `charts` by element id, as plotly traces without colours."""

    span: str
    empty: bool
    pulse: str
    fresh: bool
    tiles: tuple[Tile, ...]
    categories: tuple[CategoryRow, ...]
    charts: dict[str, list[dict[str, Any]]]
    late: str


def live_page(shown: Overview, now: datetime) -> LivePage:
    """The page of an overview, read at `now`."""
    name = shown.span.name
    age = (now - shown.newest.received_at).total_seconds() if shown.newest else None
    late = shown.figures[name].late_sessions
    return LivePage(
        span=name,
        empty=shown.empty,
        pulse="no session yet" if age is None else f"newest session {wording.span(max(0.0, age))} ago",
        fresh=age is not None and age < FRESH_S,
        tiles=tuple(_tiles(shown)),
        categories=tuple(_categories(shown)),
        charts=_charts(shown),
        late=wording.whole(late) if late else "",
    )


def _tiles(shown: Overview) -> list[Tile]:
    name = shown.span.name
    others = [other for other in SPANS if other != name]

    def tile(title: str, values: dict[str, str], change: str = "") -> Tile:
        trend = {"+": "up", wording.TIMES: "up", wording.MINUS: "down"}.get(change[:1], "level")
        return Tile(title, values[name], change, trend, tuple(f"last {other}: {values[other]}" for other in others))

    def of(title: str, field: str, wording_of: Any) -> Tile:
        values = {span: wording_of(getattr(figures, field)) for span, figures in shown.figures.items()}
        return tile(title, values, wording.change(getattr(shown.figures[name], field), _before(shown, field)))

    return [
        of("Sessions", "sessions", wording.whole),
        tile("Users", {span: wording.whole(count) for span, count in shown.users.items()}),
        of("Purchases", "purchases", wording.whole),
        of("Revenue", "revenue", wording.money),
        of("Conversion", "conversion", wording.share),
        of("Mean visit", "mean_duration_s", wording.span),
    ]


def _before(shown: Overview, field: str) -> float:
    return float(getattr(shown.before[shown.span.name], field))


def _categories(shown: Overview) -> list[CategoryRow]:
    most = max((category.figures.sessions for category in shown.categories), default=0)
    return [_row(category.name, category.figures, most) for category in shown.categories]


def _row(name: str, figures: Figures, most: int) -> CategoryRow:
    return CategoryRow(
        name=wording.label(name),
        sessions=wording.whole(figures.sessions),
        purchases=wording.whole(figures.purchases),
        conversion=wording.share(figures.conversion),
        revenue=wording.money(figures.revenue),
        part=figures.sessions / most if most else 0.0,
    )


def _charts(shown: Overview) -> dict[str, list[dict[str, Any]]]:
    at = [point.at.isoformat() for point in shown.series]
    top = list(reversed(shown.products))
    return {
        "sessions": [
            _trace("scatter", "sessions", x=at, y=[point.sessions for point in shown.series], **AREA),
            _trace("scatter", "purchases", x=at, y=[point.purchases for point in shown.series], **LINE),
        ],
        "revenue": [
            _trace("bar", "revenue", ink="series-3", x=at, y=[round(point.revenue, 2) for point in shown.series])
        ],
        "products": [
            _bar("views, no purchase", [product.name for product in top], [p.views - p.in_purchases for p in top]),
            _bar("views in sessions that bought", [product.name for product in top], [p.in_purchases for p in top]),
        ],
        "referrers": [_shares(shown.referrers)],
        "devices": [_shares(shown.devices)],
        "moods": [_shares(shown.moods) | {"inks": [MOODS.get(share.name, "plain") for share in reversed(shown.moods)]}],
    }


def _trace(kind: str, name: str, **rest: Any) -> dict[str, Any]:
    return {"type": kind, "name": name, **rest}


def _bar(name: str, labels: Sequence[str], values: Sequence[int]) -> dict[str, Any]:
    return _trace("bar", name, orientation="h", x=list(values), y=[_short(text) for text in labels])


def _shares(shares: Sequence[Share]) -> dict[str, Any]:
    rows = list(reversed(shares))
    return _bar("", [wording.label(row.name) for row in rows], [row.documents for row in rows])


def _short(text: str) -> str:
    return text if len(text) <= MAX_LABEL else f"{text[: MAX_LABEL - 1]}…"
