"""A panel's table as what the browser draws: tiles, a chart as plotly traces without colours, a table of text."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from include.serving.panels import Column, Narrow, Panel, Table, step
from showroom.pages import cells, wording

CHARTS = ("line", "area", "bar", "pie", "heatmap")
MEASURES = ("max", "min", "avg", "percentiles", "top_hits")
MAX_ROWS = 500
MAX_SERIES = 8
USUAL, OUTSHINES = 0.98, 3
INKS = {
    "positive": "good",
    "negative": "poor",
    "neutral": "plain",
    "abandoned": "poor",
    "healthy": "good",
    "wait": "plain",
    "submit": "series-1",
    "resume": "series-2",
    "page": "poor",
}
"""Values that have a colour of their own wherever they are drawn."""
WHOLE = {"day_of_week": range(1, 8), "hour_of_day": range(24)}
"""Fields whose values are all shown on an axis, seen or not."""

Drawn = dict[str, Any]


class Drawing:
    """One panel's table; everything in it is text or numbers, never markup."""

    def __init__(self, panel: Panel, table: Table) -> None:
        self.panel = panel
        self.table = table
        self._fields = cells.fields(panel)
        self._dimensions = [place for place, column in enumerate(table.columns) if column.role == "dimension"]
        self._metrics = [place for place, column in enumerate(table.columns) if column.role == "metric"]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw; a key figure always has a value, if only a dash."""
        if self.panel.kind == "metric":
            return False
        if self.panel.kind in CHARTS:
            return not any(self._says(place, row[place]) for row in self.table.rows for place in self._metrics)
        return not self.table.rows

    def _says(self, place: int, value: Any) -> bool:
        """Whether a value tells of anything: a count or a sum of nothing is nought, a measured nought is none."""
        where = self.table.columns[place].value or {}
        measured = bool(where.get("path")) and _kind(self.panel.body, where["path"]) in MEASURES
        return value is not None if measured else bool(value)

    def tiles(self, earlier: Table | None) -> list[Drawn]:
        """Key figures, each against its value in the time before."""
        now = self.table.rows[0] if self.table.rows else [None] * len(self.table.columns)
        then = earlier.rows[0] if earlier is not None and earlier.rows else [None] * len(now)
        return [self._tile(place, now[place], then[place]) for place in self._metrics]

    def grid(self) -> Drawn:
        """All of it as a table of texts."""
        columns = self.table.columns
        rows = [[self._text(place, value) for place, value in enumerate(row)] for row in self.table.rows[:MAX_ROWS]]
        head = [{"label": column.label, "kind": self._kind(column)} for column in columns]
        return {"head": head, "rows": rows, "more": max(0, len(self.table.rows) - MAX_ROWS)}

    def chart(self, narrow: Narrow, now: datetime) -> Drawn:
        """What plotly draws, and how it lies."""
        if self.panel.kind == "pie":
            return self._pie()
        if self.panel.kind == "heatmap":
            return self._heatmap()
        x = self._place("dimension")
        timed = self.table.columns[x].type == "time"
        ordered = timed or self.table.columns[x].type == "number"
        shape = "time" if timed else "columns" if ordered or self.panel.kind != "bar" else "bars"
        rows = self._whole_steps(x, narrow, now) if timed else self.table.rows
        ticks = sorted({row[x] for row in rows}) if ordered else list(dict.fromkeys(row[x] for row in rows))
        series = self._series(rows, x)
        return {
            "shape": shape,
            "mode": self.panel.mode or "unstacked",
            "traces": [self._trace(name, metric, points, x, ticks) for name, metric, points in series],
            "ticks": None if timed else self._ticks(x, ticks),
            "unit": self.table.columns[self._metrics[0]].format,
        }

    def _trace(self, name: str, metric: int, points: dict[Any, Any], x: int, ticks: Sequence[Any]) -> Drawn:
        # In a sum nothing is zero; a mean of nothing is none.
        absent = None if self.table.columns[metric].format in ("percent", "duration") else 0
        values = [points.get(tick, absent) for tick in ticks]
        at = "" if self.table.columns[x].type == "time" else "{}, "
        return {
            "type": "bar" if self.panel.kind == "bar" else "scatter",
            "area": self.panel.kind == "area",
            "name": cells.short(name),
            "ink": INKS.get(name, ""),
            "at": list(ticks) if self.table.columns[x].type == "time" else [str(tick) for tick in ticks],
            "values": values,
            "texts": [
                f"{at.format(self._text(x, tick))}{cells.short(name)}: {self._text(metric, value)}"
                for tick, value in zip(ticks, values, strict=True)
            ],
        }

    def _series(self, rows: Iterable[Sequence[Any]], x: int) -> list[tuple[str, int, dict[Any, Any]]]:
        """Name, metric and points of each line: one for each value of the breakdown, one for each metric."""
        others = [place for place in self._dimensions if place != x]
        found: dict[tuple[str, int], dict[Any, Any]] = {}
        for row in rows:
            for metric in self._metrics:
                label = self.table.columns[metric].label
                words = [self._text(place, row[place]) for place in others]
                name = ", ".join([*words, *([label] if len(self._metrics) > 1 or not words else [])])
                found.setdefault((name, metric), {})[row[x]] = row[metric]
        series = [(name, metric, points) for (name, metric), points in found.items()]
        return _merged(series) if self.panel.mode == "stacked" else series

    def _whole_steps(self, x: int, narrow: Narrow, now: datetime) -> list[list[Any]]:
        """Rows of the steps that lie wholly in the time shown and are over; of all, if those tell of nothing."""
        series = cells.aggregation(self.panel, self.table.columns[x].key).get("date_histogram", {})
        least = timedelta(seconds=int(str(series.get("fixed_interval", "0s")).removesuffix("s")))
        width = max(least, step(narrow.until - narrow.since))
        end = min(narrow.until, now.astimezone(UTC))
        whole = [
            row
            for row in self.table.rows
            if narrow.since <= datetime.fromisoformat(row[x]) and datetime.fromisoformat(row[x]) + width <= end
        ]
        told = any(self._says(place, row[place]) for row in whole for place in self._metrics)
        return whole if told else self.table.rows

    def _pie(self) -> Drawn:
        metric = self._metrics[0]
        rows = [row for row in self.table.rows if row[metric]]
        names = [", ".join(self._text(place, row[place]) for place in self._dimensions) for row in rows]
        whole = sum(row[metric] for row in rows)
        parts = [wording.share(row[metric] / whole) for row in rows]
        trace = {
            "type": "pie",
            "at": [f"{cells.short(name)}  {part}" for name, part in zip(names, parts, strict=True)],
            "values": [row[metric] for row in rows],
            "inks": [INKS.get(name, "") for name in names],
            "texts": [f"{name}: {self._text(metric, row[metric])}" for name, row in zip(names, rows, strict=True)],
        }
        return {"shape": "pie", "traces": [trace], "ticks": None, "unit": self.table.columns[metric].format}

    def _heatmap(self) -> Drawn:
        metric, x, y = self._metrics[0], self._place("x"), self._place("y")
        across, down = self._values(x), self._values(y)
        found = {(row[x], row[y]): row[metric] for row in self.table.rows}
        if x != y and self._field(x) and self._field(x) == self._field(y):
            # The same things both ways: in one order, and a thing with itself would outshine all pairs.
            across = down = list(dict.fromkeys([*across, *down]))
            found = {pair: value for pair, value in found.items() if pair[0] != pair[1]}
        trace = {
            "type": "heatmap",
            "at": [str(value) for value in across],
            "down": [str(value) for value in down],
            "values": [[found.get((right, below)) for right in across] for below in down],
            "texts": [
                [
                    f"{self._text(y, below)}, {self._text(x, right)}: {self._text(metric, found.get((right, below)))}"
                    for right in across
                ]
                for below in down
            ],
        }
        return {
            "shape": "heatmap",
            "traces": [trace],
            "ticks": self._ticks(x, across),
            "down": self._ticks(y, down),
            "unit": self.table.columns[metric].format,
            "top": _top(found.values()),
        }

    def _values(self, place: int) -> list[Any]:
        if self._field(place) in WHOLE:
            return list(WHOLE[self._field(place)])
        seen = dict.fromkeys(row[place] for row in self.table.rows)
        return sorted(seen) if self.table.columns[place].type == "number" else list(seen)

    def _ticks(self, place: int, values: Sequence[Any]) -> Drawn:
        return {
            "values": [str(value) for value in values],
            "texts": [cells.short(self._text(place, value)) for value in values],
            "title": self.table.columns[place].label,
        }

    def _place(self, key: str) -> int:
        places = [place for place in self._dimensions if self.table.columns[place].key == key]
        return places[0] if places else self._dimensions[-1]

    def _tile(self, place: int, now: Any, then: Any) -> Drawn:
        # Of a figure that may be negative, as a score, a ratio says nothing.
        comparable = now is not None and then is not None and min(now, then) >= 0
        change = wording.change(float(now), float(then)) if comparable else ""
        trend = {"+": "up", wording.TIMES: "up", wording.MINUS: "down"}.get(change[:1], "level")
        # More is better in the shop; in the pipeline it may be neither.
        of_shop = bool(self.panel.narrowed_by)
        return {
            "label": self.table.columns[place].label,
            "value": self._text(place, now),
            "before": self._text(place, then) if then is not None else "",
            "change": change,
            "trend": trend if of_shop else "level",
        }

    def _text(self, place: int, value: Any) -> str:
        column = self.table.columns[place]
        return cells.text(value, column, self._field(place))

    def _field(self, place: int) -> str:
        return self._fields.get(self.table.columns[place].key, "")

    def _kind(self, column: Column) -> str:
        named = self._fields.get(column.key) == "day_of_week" or column.type == "boolean"
        return "text" if named else column.type


def _merged(series: list[tuple[str, int, dict[Any, Any]]]) -> list[tuple[str, int, dict[Any, Any]]]:
    """Stacked series, the smallest of very many as one."""
    if len(series) <= MAX_SERIES:
        return series
    ordered = sorted(series, key=lambda each: -sum(value or 0 for value in each[2].values()))
    kept, rest = ordered[: MAX_SERIES - 1], ordered[MAX_SERIES - 1 :]
    points: dict[Any, Any] = {}
    for _, _, each in rest:
        for at, value in each.items():
            points[at] = points.get(at, 0) + (value or 0)
    return [*kept, (f"{len(rest)} others", rest[0][1], points)]


def _top(values: Iterable[float | None]) -> float:
    """The value from which on all have the strongest colour: one hour that outshines a week hides the week."""
    ordered = sorted(value for value in values if value is not None)
    if not ordered:
        return 0.0
    usual = ordered[int(USUAL * (len(ordered) - 1))]
    return usual if ordered[-1] > OUTSHINES * usual > 0 else ordered[-1]


def draw(panel: Panel, table: Table, narrow: Narrow, now: datetime, earlier: Table | None = None) -> Drawn:
    """All that the browser needs of a panel's answer."""
    drawing = Drawing(panel, table)
    if panel.kind == "metric":
        return {"state": "shown", "tiles": drawing.tiles(earlier), "table": drawing.grid()}
    if drawing.empty:
        return {"state": "empty"}
    shown: Drawn = {"state": "shown", "table": drawing.grid()}
    return shown | ({"chart": drawing.chart(narrow, now)} if panel.kind in CHARTS else {})


def _kind(body: Mapping[str, Any], path: Sequence[str]) -> str:
    """The kind of the aggregation that lies at the end of a path, somewhere in a body."""
    for name, part in body.get("aggs", {}).items():
        if name == path[0]:
            return _kind(part, path[1:]) if path[1:] else next(iter(set(part) - {"aggs"}))
        if found := _kind(part, path):
            return found
    return ""
