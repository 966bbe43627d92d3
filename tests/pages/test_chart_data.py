"""Chart data, tiles and text tables of a panel."""

from datetime import timedelta
from typing import Any

import pytest

from include.dashboards.model import Filters, Table
from showroom.web import formatting
from showroom.web.chart_data import render_panel
from tests.pages.factories import ATTACK, NOW, dimension, field, metric, panel

UNTIL = NOW.replace(second=0) + timedelta(minutes=1)
HOUR = Filters(since=UNTIL - timedelta(hours=1), until=UNTIL)
BY_TIME = {"dimension": {"date_histogram": {"field": "started_at", "fixed_interval": "60s"}}}


def render(target: Any, rows: list[list[Any]], previous: list[list[Any]] | None = None) -> dict[str, Any]:
    def table(values: list[list[Any]]) -> Table:
        return Table(columns=target.columns, rows=values, took_ms=1)

    return render_panel(target, table(rows), HOUR, NOW, None if previous is None else table(previous))


@pytest.mark.parametrize(
    ("now", "previous", "value", "change"),
    [
        (1_204, 1_000, "1,204", "+20 %"),
        (0, 10, "0", f"{formatting.MINUS}100 %"),
        (None, 10, formatting.MISSING, ""),
        (5, None, "5", ""),
        (-0.25, 0.5, f"{formatting.MINUS}0.25", ""),
    ],
)
def test_render_panel_metric_has_value_and_change(now: Any, previous: Any, value: str, change: str) -> None:
    (tile,) = render(panel("metric", metric()), [[now]], [[previous]])["tiles"]
    assert (tile["value"], tile["change"]) == (value, change)


def test_render_panel_metric_without_rows_is_a_dash() -> None:
    assert render(panel("metric", metric()), [])["tiles"][0]["value"] == formatting.MISSING


@pytest.mark.parametrize("kind", ["line", "bar", "pie", "heatmap", "datatable", "search"])
def test_render_panel_without_rows_is_empty(kind: str) -> None:
    assert render(panel(kind, dimension("dimension"), metric()), [])["state"] == "empty"


def test_render_panel_zeros_are_empty_in_a_chart_but_not_in_a_table() -> None:
    assert render(panel("bar", dimension("dimension"), metric()), [["a", 0]])["state"] == "empty"
    assert render(panel("datatable", dimension("b0"), metric()), [["a", 0]])["state"] == "shown"


def test_render_panel_time_series_has_complete_intervals_only() -> None:
    target = panel("line", dimension("dimension", "time"), metric(), body={"aggs": BY_TIME})
    times = [(HOUR.since + timedelta(minutes=minute)).isoformat() for minute in range(-1, 60)]
    chart = render(target, [[moment, 2] for moment in times])["chart"]
    # The current minute is not over, and the minute before the first one is outside the time range.
    assert chart["shape"] == "time"
    assert chart["traces"][0]["x"] == times[1:-1]


def test_render_panel_time_series_with_current_interval_only_keeps_it() -> None:
    target = panel("bar", dimension("dimension", "time"), metric(), body={"aggs": BY_TIME})
    times = [(HOUR.since + timedelta(minutes=minute)).isoformat() for minute in range(60)]
    chart = render(target, [[moment, 7 if moment == times[-1] else 0] for moment in times])["chart"]
    assert chart["traces"][0]["x"] == times
    assert chart["traces"][0]["values"][-1] == 7


def test_render_panel_breakdown_is_one_series_per_value_with_zeros() -> None:
    target = panel("bar", dimension("breakdown"), dimension("dimension"), metric(), mode="stacked")
    rows = [["positive", "Sofa", 3], ["negative", "Sofa", 1], ["negative", "Bed", 2]]
    chart = render(target, rows)["chart"]
    assert [(trace["name"], trace["values"], trace["color"]) for trace in chart["traces"]] == [
        ("positive", [3, 0], "good"),
        ("negative", [1, 2], "poor"),
    ]
    assert (chart["shape"], chart["ticks"]["values"]) == ("bars", ["Sofa", "Bed"])


def test_render_panel_many_stacked_series_merges_the_smallest() -> None:
    target = panel("bar", dimension("breakdown"), dimension("dimension"), metric(), mode="stacked")
    rows = [[f"r{number}", day, number] for number in range(1, 13) for day in ("mon", "tue")]
    data = render(target, rows)
    traces = [(trace["name"], trace["values"]) for trace in data["chart"]["traces"]]
    assert traces[0] == ("r12", [12, 12])
    assert traces[-1] == ("5 others", [15, 15])
    assert len(traces) == 8
    assert len(data["table"]["rows"]) == 24


def test_render_panel_long_names_with_same_prefix_stay_separate() -> None:
    names = ["x" * 60 + "1", "x" * 60 + "2"]
    chart = render(panel("bar", dimension("dimension"), metric()), [[name, 1] for name in names])["chart"]
    assert chart["traces"][0]["x"] == names
    assert {len(text) for text in chart["ticks"]["texts"]} == {28}


def nested_terms(y: str, x: str) -> dict[str, Any]:
    return {"aggs": {"y": {"terms": {"field": y}, "aggs": {"x": {"terms": {"field": x}}}}}}


def test_render_panel_heatmap_of_a_week_has_all_hours() -> None:
    columns = dimension("y", "number"), dimension("x", "number"), metric()
    target = panel("heatmap", *columns, body=nested_terms("day_of_week", "hour_of_day"))
    chart = render(target, [[2, 9, 5], [1, 8, 4]])["chart"]
    values = chart["traces"][0]["values"]
    assert (len(values), {len(line) for line in values}) == (7, {24})
    assert (values[0][8], values[1][9], values[1][8]) == (4, 5, None)
    assert chart["y_ticks"]["texts"][0] == "Monday"
    assert chart["traces"][0]["texts"][1][9] == "Tuesday, 9: 5"


@pytest.mark.parametrize(("outlier", "color_max"), [(4_000, 100), (250, 250)])
def test_render_panel_heatmap_outlier_is_above_the_color_maximum(outlier: int, color_max: int) -> None:
    columns = dimension("y", "number"), dimension("x", "number"), metric()
    target = panel("heatmap", *columns, body=nested_terms("day_of_week", "hour_of_day"))
    rows = [[day, hour, outlier if (day, hour) == (2, 3) else 100] for day in range(1, 8) for hour in range(24)]
    chart = render(target, rows)["chart"]
    assert chart["color_max"] == color_max
    assert chart["traces"][0]["values"][1][3] == outlier


def test_render_panel_heatmap_of_pairs_has_no_diagonal() -> None:
    target = panel("heatmap", dimension("y"), dimension("x"), metric(), body=nested_terms("product_id", "product_id"))
    chart = render(target, [["a", "a", 9], ["a", "b", 2], ["b", "b", 7], ["b", "a", 2]])["chart"]
    assert chart["ticks"]["values"] == chart["y_ticks"]["values"] == ["a", "b"]
    assert chart["traces"][0]["values"] == [[None, 2], [2, None]]


def test_render_panel_pie_has_no_empty_slice() -> None:
    chart = render(panel("pie", dimension("b0"), metric()), [["card", 3], ["abandoned", 0]])["chart"]
    assert (chart["traces"][0]["x"], chart["traces"][0]["values"]) == (["card  100.0 %"], [3])


def test_render_panel_cells_are_truncated_text() -> None:
    target = panel(
        "search", field("review"), field("started_at", "time"), field("made", "boolean"), field("categories")
    )
    full: list[Any] = ["é" * 10_000, "2026-11-23T08:00:01+00:00", True, ["living_room", ATTACK]]
    rows = [full, [None, None, None, []]]
    table = render(target, rows)["table"]
    assert table["rows"][0][0] == f"{'é' * 300}… (10,000 characters)"
    assert table["rows"][0][1:] == ["23 Nov 08:00:01", "yes", f"living room, {ATTACK}"]
    assert table["rows"][1] == [formatting.MISSING] * 4


def test_render_panel_table_is_limited_to_500_rows() -> None:
    table = render(panel("datatable", dimension("b0"), metric()), [[str(number), 1] for number in range(800)])["table"]
    assert (len(table["rows"]), table["more"]) == (500, 300)


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        (metric(format_="percent"), 0.0421, "4.2 %"),
        (metric(format_="duration"), 214, "3 min 34 s"),
        (metric(decimals=2), 3, "3.00"),
        (metric(), 3.5, "3.50"),
        (metric(suffix=" ms", decimals=0), 1_234.4, "1,234 ms"),
        (metric(format_="money"), 4_470_000, "4.47 M"),
    ],
)
def test_render_panel_metric_uses_the_format_of_its_column(column: Any, value: float, text: str) -> None:
    assert render(panel("metric", column), [[value]])["tiles"][0]["value"] == text
