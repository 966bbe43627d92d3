"""A panel's table as what the browser draws."""

from datetime import timedelta
from typing import Any

import pytest

from include.serving.panels import Narrow, Table
from showroom.pages import wording
from showroom.pages.drawing import draw
from tests.pages.sample import ATTACK, NOW, dimension, field, metric, panel

UNTIL = NOW.replace(second=0) + timedelta(minutes=1)
HOUR = Narrow(since=UNTIL - timedelta(hours=1), until=UNTIL)
BY_TIME = {"dimension": {"date_histogram": {"field": "started_at", "fixed_interval": "60s"}}}


def drawn(shown: Any, rows: list[list[Any]], earlier: list[list[Any]] | None = None) -> dict[str, Any]:
    def table(found: list[list[Any]]) -> Table:
        return Table(columns=shown.columns, rows=found, took_ms=1)

    return draw(shown, table(rows), HOUR, NOW, None if earlier is None else table(earlier))


@pytest.mark.parametrize(
    ("now", "before", "value", "change"),
    [
        (1_204, 1_000, "1,204", "+20 %"),
        (0, 10, "0", f"{wording.MINUS}100 %"),
        (None, 10, wording.UNKNOWN, ""),
        (5, None, "5", ""),
        (-0.25, 0.5, f"{wording.MINUS}0.25", ""),
    ],
)
def test_a_key_figure_stands_against_the_time_before(now: Any, before: Any, value: str, change: str) -> None:
    (tile,) = drawn(panel("metric", metric()), [[now]], [[before]])["tiles"]
    assert (tile["value"], tile["change"]) == (value, change)


def test_a_key_figure_without_an_answer_is_a_dash() -> None:
    assert drawn(panel("metric", metric()), [])["tiles"][0]["value"] == wording.UNKNOWN


@pytest.mark.parametrize("kind", ["line", "bar", "pie", "heatmap", "datatable", "search"])
def test_nothing_is_said_to_be_nothing(kind: str) -> None:
    assert drawn(panel(kind, dimension("dimension"), metric()), [])["state"] == "empty"


def test_a_chart_of_zeros_is_empty_and_a_table_of_zeros_is_not() -> None:
    assert drawn(panel("bar", dimension("dimension"), metric()), [["a", 0]])["state"] == "empty"
    assert drawn(panel("datatable", dimension("b0"), metric()), [["a", 0]])["state"] == "shown"


def test_a_series_has_the_whole_steps_only() -> None:
    shown = panel("line", dimension("dimension", "time"), metric(), body={"aggs": BY_TIME})
    at = [(HOUR.since + timedelta(minutes=minute)).isoformat() for minute in range(-1, 60)]
    chart = drawn(shown, [[moment, 2] for moment in at])["chart"]
    # The running minute is not over, and the one before the first is not shown.
    assert chart["shape"] == "time"
    assert chart["traces"][0]["at"] == at[1:-1]


def test_a_series_of_the_running_step_alone_has_it() -> None:
    shown = panel("bar", dimension("dimension", "time"), metric(), body={"aggs": BY_TIME})
    at = [(HOUR.since + timedelta(minutes=minute)).isoformat() for minute in range(60)]
    chart = drawn(shown, [[moment, 7 if moment == at[-1] else 0] for moment in at])["chart"]
    assert chart["traces"][0]["at"] == at
    assert chart["traces"][0]["values"][-1] == 7


def test_a_breakdown_is_a_series_each_and_what_is_missing_counts_as_none() -> None:
    shown = panel("bar", dimension("breakdown"), dimension("dimension"), metric(), mode="stacked")
    rows = [["positive", "Sofa", 3], ["negative", "Sofa", 1], ["negative", "Bed", 2]]
    chart = drawn(shown, rows)["chart"]
    assert [(trace["name"], trace["values"], trace["ink"]) for trace in chart["traces"]] == [
        ("positive", [3, 0], "good"),
        ("negative", [1, 2], "poor"),
    ]
    assert (chart["shape"], chart["ticks"]["values"]) == ("bars", ["Sofa", "Bed"])


def test_of_very_many_stacked_series_the_smallest_are_one() -> None:
    shown = panel("bar", dimension("breakdown"), dimension("dimension"), metric(), mode="stacked")
    rows = [[f"r{number}", day, number] for number in range(1, 13) for day in ("mon", "tue")]
    answer = drawn(shown, rows)
    traces = [(trace["name"], trace["values"]) for trace in answer["chart"]["traces"]]
    assert traces[0] == ("r12", [12, 12])
    assert traces[-1] == ("5 others", [15, 15])
    assert len(traces) == 8
    assert len(answer["table"]["rows"]) == 24


def test_two_long_names_that_begin_alike_stay_two() -> None:
    names = ["x" * 60 + "1", "x" * 60 + "2"]
    chart = drawn(panel("bar", dimension("dimension"), metric()), [[name, 1] for name in names])["chart"]
    assert chart["traces"][0]["at"] == names
    assert {len(text) for text in chart["ticks"]["texts"]} == {28}


def crossed(y: str, x: str) -> dict[str, Any]:
    return {"aggs": {"y": {"terms": {"field": y}, "aggs": {"x": {"terms": {"field": x}}}}}}


def test_a_heat_map_of_a_week_has_all_its_hours() -> None:
    columns = dimension("y", "number"), dimension("x", "number"), metric()
    shown = panel("heatmap", *columns, body=crossed("day_of_week", "hour_of_day"))
    chart = drawn(shown, [[2, 9, 5], [1, 8, 4]])["chart"]
    values = chart["traces"][0]["values"]
    assert (len(values), {len(line) for line in values}) == (7, {24})
    assert (values[0][8], values[1][9], values[1][8]) == (4, 5, None)
    assert chart["down"]["texts"][0] == "Monday"
    assert chart["traces"][0]["texts"][1][9] == "Tuesday, 9: 5"


@pytest.mark.parametrize(("odd", "top"), [(4_000, 100), (250, 250)])
def test_an_hour_that_outshines_the_week_does_not_hide_it(odd: int, top: int) -> None:
    columns = dimension("y", "number"), dimension("x", "number"), metric()
    shown = panel("heatmap", *columns, body=crossed("day_of_week", "hour_of_day"))
    rows = [[day, hour, odd if (day, hour) == (2, 3) else 100] for day in range(1, 8) for hour in range(24)]
    chart = drawn(shown, rows)["chart"]
    assert chart["top"] == top
    assert chart["traces"][0]["values"][1][3] == odd


def test_a_heat_map_of_pairs_leaves_out_what_is_alone() -> None:
    shown = panel("heatmap", dimension("y"), dimension("x"), metric(), body=crossed("product_id", "product_id"))
    chart = drawn(shown, [["a", "a", 9], ["a", "b", 2], ["b", "b", 7], ["b", "a", 2]])["chart"]
    assert chart["ticks"]["values"] == chart["down"]["values"] == ["a", "b"]
    assert chart["traces"][0]["values"] == [[None, 2], [2, None]]


def test_a_pie_has_no_slice_of_nothing() -> None:
    chart = drawn(panel("pie", dimension("b0"), metric()), [["card", 3], ["abandoned", 0]])["chart"]
    assert (chart["traces"][0]["at"], chart["traces"][0]["values"]) == (["card  100.0 %"], [3])


def test_cells_are_texts_of_bounded_length() -> None:
    shown = panel("search", field("review"), field("started_at", "time"), field("made", "boolean"), field("categories"))
    full: list[Any] = ["é" * 10_000, "2026-11-23T08:00:01+00:00", True, ["living_room", ATTACK]]
    rows = [full, [None, None, None, []]]
    table = drawn(shown, rows)["table"]
    assert table["rows"][0][0] == f"{'é' * 300}… (10,000 characters)"
    assert table["rows"][0][1:] == ["23 Nov 08:00:01", "yes", f"living room, {ATTACK}"]
    assert table["rows"][1] == [wording.UNKNOWN] * 4


def test_a_table_ends_somewhere_and_says_so() -> None:
    table = drawn(panel("datatable", dimension("b0"), metric()), [[str(number), 1] for number in range(800)])["table"]
    assert (len(table["rows"]), table["more"]) == (500, 300)


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        (metric(shown="percent"), 0.0421, "4.2 %"),
        (metric(shown="duration"), 214, "3 min 34 s"),
        (metric(decimals=2), 3, "3.00"),
        (metric(), 3.5, "3.50"),
        (metric(suffix=" ms", decimals=0), 1_234.4, "1,234 ms"),
        (metric(shown="money"), 4_470_000, "4.47 M"),
    ],
)
def test_figures_read_as_their_column_says(column: Any, value: float, text: str) -> None:
    assert drawn(panel("metric", column), [[value]])["tiles"][0]["value"] == text
