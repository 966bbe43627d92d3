"""Convert a panel's table to the data that the browser draws: tiles, a chart without colors, a table of text."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from include.dashboards.model import Column, Filters, Panel, Table
from include.dashboards.panels import interval
from showroom.web.formatting import (
    MINUS,
    TIMES,
    format_change,
    format_percent,
    format_value,
    shorten_label,
)
from showroom.web.panel_body import aggregation_kind, document_fields, find_aggregation

CHART_KINDS = ("line", "area", "bar", "pie", "heatmap")
MEASURES = ("max", "min", "avg", "percentiles", "top_hits")
MAX_ROWS = 500
MAX_SERIES = 8
COLOR_QUANTILE, MAX_OUTLIER_RATIO = 0.98, 3
SERIES_COLORS = {
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
"""Values that have the same color in every chart."""
FULL_AXES = {"day_of_week": range(1, 8), "hour_of_day": range(24)}
"""Fields whose values are all shown on an axis, with or without data."""

ChartData = dict[str, Any]


class Series(NamedTuple):
    """One series of a chart: its name, the position of its metric in the table, and x -> value."""

    name: str
    metric: int
    points: dict[Any, Any]


class PanelRenderer:
    """Renders one panel's table. All results are text or numbers, never markup."""

    def __init__(self, panel: Panel, table: Table) -> None:
        self.panel = panel
        self.table = table
        self._fields = document_fields(panel)
        self._dimensions = [number for number, column in enumerate(table.columns) if column.role == "dimension"]
        self._metrics = [number for number, column in enumerate(table.columns) if column.role == "metric"]

    @property
    def is_empty(self) -> bool:
        """Whether there is no data; a metric panel always has a value, which can be a dash."""
        if self.panel.kind == "metric":
            return False
        if self.panel.kind in CHART_KINDS:
            return not any(self._has_data(metric, row[metric]) for row in self.table.rows for metric in self._metrics)
        return not self.table.rows

    def _has_data(self, number: int, value: Any) -> bool:
        """Return whether a metric has data: 0 is "no data" for counts and sums, but a value for min, max and mean."""
        source = self.table.columns[number].value or {}
        is_measure = bool(source.get("path")) and aggregation_kind(self.panel.body, source["path"]) in MEASURES
        return value is not None if is_measure else bool(value)

    def tiles(self, previous: Table | None) -> list[ChartData]:
        """Return the metrics, each with its change against the previous period."""
        row = self.table.rows[0] if self.table.rows else [None] * len(self.table.columns)
        previous_row = previous.rows[0] if previous is not None and previous.rows else [None] * len(row)
        return [self._tile(metric, row[metric], previous_row[metric]) for metric in self._metrics]

    def text_table(self) -> ChartData:
        """Return the table as text."""
        rows = [[self._text(number, value) for number, value in enumerate(row)] for row in self.table.rows[:MAX_ROWS]]
        head = [{"label": column.label, "kind": self._kind(column)} for column in self.table.columns]
        return {"head": head, "rows": rows, "more": max(0, len(self.table.rows) - MAX_ROWS)}

    def chart(self, filters: Filters, now: datetime) -> ChartData:
        """Return the traces and axes of the chart."""
        if self.panel.kind == "pie":
            return self._pie()
        if self.panel.kind == "heatmap":
            return self._heatmap()
        x = self._dimension("dimension")
        is_time = self.table.columns[x].type == "time"
        is_ordered = is_time or self.table.columns[x].type == "number"
        rows = self._complete_intervals(x, filters, now) if is_time else self.table.rows
        ticks = sorted({row[x] for row in rows}) if is_ordered else list(dict.fromkeys(row[x] for row in rows))
        return {
            "shape": "time" if is_time else "columns" if is_ordered or self.panel.kind != "bar" else "bars",
            "mode": self.panel.mode or "unstacked",
            "traces": [self._trace(series, x, ticks) for series in self._series(rows, x)],
            "ticks": None if is_time else self._ticks(x, ticks),
            "unit": self.table.columns[self._metrics[0]].format,
        }

    def _trace(self, series: Series, x: int, ticks: Sequence[Any]) -> ChartData:
        # A missing count or sum is 0; a missing mean is no value.
        default = None if self.table.columns[series.metric].format in ("percent", "duration") else 0
        values = [series.points.get(tick, default) for tick in ticks]
        is_time = self.table.columns[x].type == "time"
        prefix = "" if is_time else "{}, "
        return {
            "type": "bar" if self.panel.kind == "bar" else "scatter",
            "area": self.panel.kind == "area",
            "name": shorten_label(series.name),
            "color": SERIES_COLORS.get(series.name, ""),
            "x": list(ticks) if is_time else [str(tick) for tick in ticks],
            "values": values,
            "texts": [
                f"{prefix.format(self._text(x, tick))}{shorten_label(series.name)}: {self._text(series.metric, value)}"
                for tick, value in zip(ticks, values, strict=True)
            ],
        }

    def _series(self, rows: Iterable[Sequence[Any]], x: int) -> list[Series]:
        """Return one series for each value of the breakdown and each metric."""
        breakdowns = [number for number in self._dimensions if number != x]
        points: dict[tuple[str, int], dict[Any, Any]] = {}
        for row in rows:
            for metric in self._metrics:
                labels = [self._text(number, row[number]) for number in breakdowns]
                if len(self._metrics) > 1 or not labels:
                    labels.append(self.table.columns[metric].label)
                points.setdefault((", ".join(labels), metric), {})[row[x]] = row[metric]
        series = [Series(name, metric, values) for (name, metric), values in points.items()]
        return _merge_smallest(series) if self.panel.mode == "stacked" else series

    def _complete_intervals(self, x: int, filters: Filters, now: datetime) -> list[list[Any]]:
        """Return the rows of intervals that are over and inside the time range; all rows if those have no data."""
        histogram = find_aggregation(self.panel, self.table.columns[x].key).get("date_histogram", {})
        minimum = timedelta(seconds=int(str(histogram.get("fixed_interval", "0s")).removesuffix("s")))
        width = max(minimum, interval(filters.until - filters.since))
        end = min(filters.until, now.astimezone(UTC))
        complete = [
            row
            for row in self.table.rows
            if filters.since <= datetime.fromisoformat(row[x]) and datetime.fromisoformat(row[x]) + width <= end
        ]
        has_data = any(self._has_data(metric, row[metric]) for row in complete for metric in self._metrics)
        return complete if has_data else self.table.rows

    def _pie(self) -> ChartData:
        metric = self._metrics[0]
        rows = [row for row in self.table.rows if row[metric]]
        names = [", ".join(self._text(number, row[number]) for number in self._dimensions) for row in rows]
        total = sum(row[metric] for row in rows)
        shares = [format_percent(row[metric] / total) for row in rows]
        trace = {
            "type": "pie",
            "x": [f"{shorten_label(name)}  {share}" for name, share in zip(names, shares, strict=True)],
            "values": [row[metric] for row in rows],
            "colors": [SERIES_COLORS.get(name, "") for name in names],
            "texts": [f"{name}: {self._text(metric, row[metric])}" for name, row in zip(names, rows, strict=True)],
        }
        return {"shape": "pie", "traces": [trace], "ticks": None, "unit": self.table.columns[metric].format}

    def _heatmap(self) -> ChartData:
        metric, x, y = self._metrics[0], self._dimension("x"), self._dimension("y")
        x_values, y_values = self._axis_values(x), self._axis_values(y)
        cells = {(row[x], row[y]): row[metric] for row in self.table.rows}
        if x != y and self._field(x) and self._field(x) == self._field(y):
            # Both axes show the same field: use one order, and drop the diagonal because it exceeds all other cells.
            x_values = y_values = list(dict.fromkeys([*x_values, *y_values]))
            cells = {pair: value for pair, value in cells.items() if pair[0] != pair[1]}
        trace = {
            "type": "heatmap",
            "x": [str(value) for value in x_values],
            "y": [str(value) for value in y_values],
            "values": [[cells.get((column, row)) for column in x_values] for row in y_values],
            "texts": [
                [
                    f"{self._text(y, row)}, {self._text(x, column)}: {self._text(metric, cells.get((column, row)))}"
                    for column in x_values
                ]
                for row in y_values
            ],
        }
        return {
            "shape": "heatmap",
            "traces": [trace],
            "ticks": self._ticks(x, x_values),
            "y_ticks": self._ticks(y, y_values),
            "unit": self.table.columns[metric].format,
            "color_max": _color_max(cells.values()),
        }

    def _axis_values(self, number: int) -> list[Any]:
        if self._field(number) in FULL_AXES:
            return list(FULL_AXES[self._field(number)])
        values = dict.fromkeys(row[number] for row in self.table.rows)
        return sorted(values) if self.table.columns[number].type == "number" else list(values)

    def _ticks(self, number: int, values: Sequence[Any]) -> ChartData:
        return {
            "values": [str(value) for value in values],
            "texts": [shorten_label(self._text(number, value)) for value in values],
            "title": self.table.columns[number].label,
        }

    def _dimension(self, key: str) -> int:
        """Return the position of the dimension `key`, or of the last dimension."""
        numbers = [number for number in self._dimensions if self.table.columns[number].key == key]
        return numbers[0] if numbers else self._dimensions[-1]

    def _tile(self, number: int, value: Any, previous: Any) -> ChartData:
        # A ratio has no meaning for metrics that can be negative, such as a score.
        is_comparable = value is not None and previous is not None and min(value, previous) >= 0
        change = format_change(float(value), float(previous)) if is_comparable else ""
        trend = {"+": "up", TIMES: "up", MINUS: "down"}.get(change[:1], "level")
        # For shop metrics more is better; for pipeline metrics it can be neither.
        is_shop_metric = bool(self.panel.supported_filters)
        return {
            "label": self.table.columns[number].label,
            "value": self._text(number, value),
            "previous": self._text(number, previous) if previous is not None else "",
            "change": change,
            "trend": trend if is_shop_metric else "level",
        }

    def _text(self, number: int, value: Any) -> str:
        return format_value(value, self.table.columns[number], self._field(number))

    def _field(self, number: int) -> str:
        return self._fields.get(self.table.columns[number].key, "")

    def _kind(self, column: Column) -> str:
        is_name = self._fields.get(column.key) == "day_of_week" or column.type == "boolean"
        return "text" if is_name else column.type


def render_panel(
    panel: Panel, table: Table, filters: Filters, now: datetime, previous: Table | None = None
) -> ChartData:
    """Return everything that the browser needs to draw a panel.

    Args:
        panel: The panel.
        table: Its result.
        filters: The filters of the query.
        now: Current time, aware.
        previous: The result for the previous period, for metric panels.
    """
    renderer = PanelRenderer(panel, table)
    if panel.kind == "metric":
        return {"state": "shown", "tiles": renderer.tiles(previous), "table": renderer.text_table()}
    if renderer.is_empty:
        return {"state": "empty"}
    data: ChartData = {"state": "shown", "table": renderer.text_table()}
    return data | ({"chart": renderer.chart(filters, now)} if panel.kind in CHART_KINDS else {})


def _merge_smallest(series: list[Series]) -> list[Series]:
    """Merge the smallest of more than `MAX_SERIES` stacked series into one."""
    if len(series) <= MAX_SERIES:
        return series
    ordered = sorted(series, key=lambda item: -sum(value or 0 for value in item.points.values()))
    largest, others = ordered[: MAX_SERIES - 1], ordered[MAX_SERIES - 1 :]
    points: dict[Any, Any] = {}
    for other in others:
        for x, value in other.points.items():
            points[x] = points.get(x, 0) + (value or 0)
    return [*largest, Series(f"{len(others)} others", others[0].metric, points)]


def _color_max(values: Iterable[float | None]) -> float:
    """Return the value from which all cells have the strongest color, so that an outlier does not hide the rest."""
    ordered = sorted(value for value in values if value is not None)
    if not ordered:
        return 0.0
    quantile = ordered[int(COLOR_QUANTILE * (len(ordered) - 1))]
    return quantile if ordered[-1] > MAX_OUTLIER_RATIO * quantile > 0 else ordered[-1]
