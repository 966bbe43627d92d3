"""Compile dashboard definitions: the query of each panel, and the errors of unsupported definitions."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.contracts.errors import TerminalError
from include.dashboards.compiler.translate import compile_dashboards
from include.dashboards.model import Filters, Panel
from include.dashboards.panels import interval, search_body

SEARCHES = [
    {
        "id": "newest",
        "title": "Newest",
        "data_view": "product_sentiment",
        "query": "label:negative",
        "columns": ["started_at", "review"],
        "sort": {"field": "started_at", "direction": "desc"},
        "size": 20,
    }
]
COUNT = {"aggregation": "count", "label": "sessions"}
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)


def lens(**options: Any) -> dict[str, Any]:
    return {"lens": {"data_view": "session_summary", **options}}


def compile_panels(folder: Path, *panels: dict[str, Any], **options: Any) -> list[Panel]:
    (folder / "objects").mkdir(exist_ok=True)
    (folder / "objects" / "searches.yaml").write_text(yaml.safe_dump(SEARCHES))
    common = {"title": "T", "size": {"w": 8, "h": 6}, "position": {"x": 0, "y": 0}}
    entries = [{"id": f"p{number}", **common, **panel} for number, panel in enumerate(panels)]
    shop = {"dashboards": [{"id": "showroom-shop", "name": "Shop", "panels": entries, **options}]}
    (folder / "shop.yaml").write_text(yaml.safe_dump(shop, sort_keys=False))
    (dashboard,) = compile_dashboards(folder)
    return list(dashboard.panels)


def values(**options: Any) -> dict[str, Any]:
    return {"type": "values", "field": "device_type", "size": 5, "show_other_bucket": False, **options}


def test_compile_count_uses_total_hits(tmp_path: Path) -> None:
    (panel,) = compile_panels(tmp_path, lens(type="metric", primary=COUNT, query={"kql": "purchase_made:true"}))
    query = {"query_string": {"query": "purchase_made:true", "analyze_wildcard": True}}
    assert panel.body == {"size": 0, "track_total_hits": True, "query": {"bool": {"filter": [query]}}}
    assert panel.columns[0].value == {"path": [], "of": "doc_count"}
    assert (panel.index, panel.time_field) == ("session_summary", "started_at")
    assert panel.supported_filters == ("category", "device", "referrer")


def test_compile_formula_returns_aggregations_and_expression(tmp_path: Path) -> None:
    formula = "count(kql='purchase_made:true') / count() * 100 - sum(purchase_amount)"
    (panel,) = compile_panels(tmp_path, lens(type="metric", primary={"formula": formula, "label": "f"}))
    parts = panel.body["aggs"]
    assert parts["m0_0"]["filter"]["query_string"]["query"] == "purchase_made:true"
    assert parts["m0_1"] == {"sum": {"field": "purchase_amount"}}
    value = panel.columns[0].value
    assert value is not None
    assert (value["op"], value["left"]["op"], value["left"]["left"]["op"]) == ("-", "*", "/")
    assert value["left"]["right"] == {"number": 100}


def test_compile_breakdown_is_ordered_by_the_metric(tmp_path: Path) -> None:
    total = {"aggregation": "sum", "field": "purchase_amount", "label": "sales"}
    time = {"type": "date_histogram", "field": "started_at", "minimum_interval": "1h"}
    (panel,) = compile_panels(tmp_path, lens(type="line", dimension=time, breakdown=values(), metrics=[total]))
    split = panel.body["aggs"]["breakdown"]
    assert split["terms"]["order"] == {"m0": "desc"}
    assert split["aggs"]["m0"] == {"sum": {"field": "purchase_amount"}}
    assert split["aggs"]["dimension"]["date_histogram"]["fixed_interval"] == "3600s"
    assert [column.key for column in panel.columns] == ["breakdown", "dimension", "m0"]


def test_compile_values_of_a_formula_are_sorted_by_key(tmp_path: Path) -> None:
    axis = values(field="hour_of_day", size=24, sort={"by": "n", "direction": "asc"})
    (panel,) = compile_panels(tmp_path, lens(type="heatmap", x_axis=axis, metric={"formula": "count()", "label": "n"}))
    assert panel.body["aggs"]["x"]["terms"]["order"] == {"_key": "asc"}


def test_compile_values_sorted_by_a_filtered_count(tmp_path: Path) -> None:
    bought = {"aggregation": "count", "label": "bought", "filter": {"kql": "purchase_made:true"}}
    row = values(sort={"by": "bought", "direction": "desc"})
    (panel,) = compile_panels(tmp_path, lens(type="datatable", breakdowns=[row], metrics=[COUNT, bought]))
    assert panel.body["aggs"]["b0"]["terms"]["order"] == {"m1": "desc"}


def test_compile_filtered_sum_is_nested_in_its_filter(tmp_path: Path) -> None:
    late = {"aggregation": "sum", "field": "duration_s", "label": "late", "filter": {"kql": "returning:true"}}
    (panel,) = compile_panels(tmp_path, lens(type="pie", breakdowns=[values()], metrics=[late]))
    part = panel.body["aggs"]["b0"]
    assert part["terms"]["order"] == {"m0>v": "desc"}
    assert part["aggs"]["m0"]["aggs"] == {"v": {"sum": {"field": "duration_s"}}}
    assert panel.columns[1].value == {"path": ["m0", "v"], "of": "value"}


def test_compile_saved_search_returns_documents(tmp_path: Path) -> None:
    (panel,) = compile_panels(tmp_path, {"search": {"saved_search_id": "newest"}})
    assert (panel.kind, panel.index) == ("search", "product_sentiment")
    assert panel.supported_filters == ("category",)
    assert panel.body["_source"] == ["started_at", "review"]
    assert panel.body["sort"] == [{"started_at": "desc"}]


def test_search_body_adds_time_range_filters_and_interval(tmp_path: Path) -> None:
    time = {"type": "date_histogram", "field": "started_at"}
    (panel,) = compile_panels(tmp_path, lens(type="bar", dimension=time, metrics=[COUNT]))
    filters = Filters(since=MIDNIGHT, until=MIDNIGHT + timedelta(days=1), device='mob"ile', category="living_room")
    body = search_body(panel, filters)
    clauses = body["query"]["bool"]["filter"]
    assert clauses[0]["range"]["started_at"] == {"gte": MIDNIGHT.isoformat(), "lt": "2026-11-24T00:00:00+00:00"}
    assert clauses[1:] == [{"term": {"categories": "living_room"}}, {"term": {"device_type": 'mob"ile'}}]
    series = body["aggs"]["dimension"]["date_histogram"]
    assert series["fixed_interval"] == "1800s"
    assert series["extended_bounds"]["max"] == "2026-11-23T23:59:59.999000+00:00"
    assert panel.body["query"]["bool"]["filter"] == []


def test_search_body_unsupported_filter_is_ignored(tmp_path: Path) -> None:
    (panel,) = compile_panels(tmp_path, {"search": {"saved_search_id": "newest"}})
    filters = Filters(since=MIDNIGHT, until=MIDNIGHT + timedelta(days=1), device="mobile", category="office")
    assert search_body(panel, filters)["query"]["bool"]["filter"][2:] == [{"term": {"category": "office"}}]


def test_search_body_minimum_interval_is_respected(tmp_path: Path) -> None:
    time = {"type": "date_histogram", "field": "started_at", "minimum_interval": "1h"}
    (panel,) = compile_panels(tmp_path, lens(type="bar", dimension=time, metrics=[COUNT]))
    body = search_body(panel, Filters(since=MIDNIGHT, until=MIDNIGHT + timedelta(hours=2)))
    assert body["aggs"]["dimension"]["date_histogram"]["fixed_interval"] == "3600s"


@pytest.mark.parametrize(("hours", "width"), [(1, 60), (6, 300), (24, 1800), (24 * 14, 43_200), (24 * 3000, 2_592_000)])
def test_interval_returns_at_most_75_points(hours: int, width: int) -> None:
    assert interval(timedelta(hours=hours)).total_seconds() == width


UNSUPPORTED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown kind": ({"vega": {"spec": {}}}, "kind 'vega'"),
    "unknown chart": (lens(type="mosaic", metrics=[COUNT]), "type 'mosaic'"),
    "unknown part": (lens(type="pie", metrics=[COUNT], metrics_split_by=[]), "metrics_split_by"),
    "unknown index": (lens(type="metric", primary=COUNT, data_view="sessions"), "no index 'sessions'"),
    "unknown field": (lens(type="pie", metrics=[COUNT], breakdowns=[values(field="devise")]), "no field 'devise'"),
    "sum of a word": (lens(type="metric", primary={"aggregation": "sum", "field": "state"}), "it is keyword"),
    "unknown metric": (lens(type="metric", primary={"aggregation": "percentile_rank", "field": "clicks"}), "rank"),
    "other bucket": (lens(type="pie", metrics=[COUNT], breakdowns=[values(show_other_bucket=True)]), "other bucket"),
    "missing values": (
        lens(type="pie", metrics=[COUNT], breakdowns=[values(include_missing_values=True)]),
        "missing values",
    ),
    "unknown sort": (
        lens(type="pie", metrics=[COUNT], breakdowns=[values(sort={"by": "x", "direction": "asc"})]),
        "sorted by 'x'",
    ),
    "lucene": (lens(type="metric", primary={**COUNT, "filter": {"lucene": "a:b"}}), "not of the form kql"),
    "range query": (lens(type="metric", primary=COUNT, query={"kql": "duration_s > 5"}), "from 'duration_s > 5' on"),
    "query of no field": (lens(type="metric", primary=COUNT, query={"kql": "devise:mobile"}), "no field 'devise'"),
    "formula of a call": (lens(type="metric", primary={"formula": "__import__('os').system('x')"}), "formula"),
    "formula of a word": (lens(type="metric", primary={"formula": "count() + 'a'"}), "with numbers"),
    "formula of another week": (
        lens(type="metric", primary={"formula": "count(kql='purchase_made:true', shift='1w')"}),
        "kql='...' only",
    ),
    "broken formula": (lens(type="metric", primary={"formula": "count( /"}), "cannot be read"),
    "no saved search": ({"search": {"saved_search_id": "nothing"}}, "saved search 'nothing'"),
    "a month": (
        lens(
            type="line",
            metrics=[COUNT],
            dimension={"type": "date_histogram", "field": "started_at", "minimum_interval": "1M"},
        ),
        "interval '1M'",
    ),
    "no position": ({**lens(type="metric", primary=COUNT), "position": {}}, "'x' is missing"),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_compile_unsupported_definition_names_file_and_panel(tmp_path: Path, name: str) -> None:
    panel, reason = UNSUPPORTED[name]
    with pytest.raises(TerminalError, match=r"^shop\.yaml, panel p0: ") as caught:
        compile_panels(tmp_path, panel)
    assert reason in caught.value.message


def test_compile_dashboard_query_raises_terminal_error(tmp_path: Path) -> None:
    with pytest.raises(TerminalError, match=r"shop\.yaml: the dashboard has query"):
        compile_panels(tmp_path, lens(type="metric", primary=COUNT), query={"kql": "purchase_made:true"})


def test_compile_duplicate_panel_id_raises_terminal_error(tmp_path: Path) -> None:
    one = {**lens(type="metric", primary=COUNT), "id": "same"}
    with pytest.raises(TerminalError, match="two panels have the id same"):
        compile_panels(tmp_path, one, one)


def test_compile_invalid_yaml_names_the_file(tmp_path: Path) -> None:
    compile_panels(tmp_path, lens(type="metric", primary=COUNT))
    (tmp_path / "shop.yaml").write_text("dashboards: [")
    with pytest.raises(TerminalError, match=r"shop\.yaml cannot be read"):
        compile_dashboards(tmp_path)
