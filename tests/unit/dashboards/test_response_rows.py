"""Response rows: nested buckets, named filters in the panel's order, metrics without a value."""

from typing import Any

import pytest

from include.dashboards.response_rows import Columns, rows, value

COUNT: dict[str, Any] = {"path": [], "of": "doc_count"}


def test_rows_without_dimensions_returns_one_row() -> None:
    columns: Columns = [("m0", "metric", "number", COUNT), ("m1", "metric", "number", {"path": ["m1"], "of": "value"})]
    response = {"hits": {"total": {"value": 7}}, "aggregations": {"m1": {"value": None}}}
    assert rows(response, {}, columns) == [[7.0, None]]


def test_rows_nested_buckets_become_rows_with_typed_dimensions() -> None:
    columns: Columns = [
        ("b0", "dimension", "boolean", None),
        ("b1", "dimension", "time", None),
        ("m0", "metric", "number", COUNT),
    ]
    inner = {"buckets": [{"key": 0, "doc_count": 2}, {"key": 3_600_000, "doc_count": 0}]}
    response = {"hits": {}, "aggregations": {"b0": {"buckets": [{"key": 1, "doc_count": 2, "b1": inner}]}}}
    body: dict[str, Any] = {"aggs": {"b0": {"terms": {}, "aggs": {"b1": {"date_histogram": {}}}}}}
    table = rows(response, body, columns)
    assert table[0][0] is True
    assert table == [
        [True, "1970-01-01T00:00:00+00:00", 2.0],
        [True, "1970-01-01T01:00:00+00:00", 0.0],
    ]


def test_rows_named_filters_keep_the_panels_order() -> None:
    columns: Columns = [("b0", "dimension", "text", None), ("m0", "metric", "number", COUNT)]
    body: dict[str, Any] = {"aggs": {"b0": {"filters": {"filters": {"viewed": {}, "cart": {}}}}}}
    response = {"hits": {}, "aggregations": {"b0": {"buckets": {"cart": {"doc_count": 1}, "viewed": {"doc_count": 5}}}}}
    assert rows(response, body, columns) == [["viewed", 5.0], ["cart", 1.0]]


def test_rows_missing_index_returns_no_groups_and_a_zero_count() -> None:
    response = {"hits": {"total": {"value": 0}}}
    assert rows(response, {}, [("b0", "dimension", "text", None), ("m0", "metric", "number", COUNT)]) == []
    assert rows(response, {}, [("m0", "metric", "number", COUNT)]) == [[0.0]]


def test_rows_documents_become_rows_of_their_fields() -> None:
    columns: Columns = [("name", "field", "text", None), ("seconds", "field", "number", None)]
    assert rows({"hits": {"hits": [{"_source": {"name": "Sofa"}}]}}, {}, columns) == [["Sofa", None]]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"number": 3}, 3.0),
        ({"path": ["f", "v"], "of": "value"}, 8.0),
        ({"path": ["p"], "of": "percentile"}, 5.0),
        ({"path": ["l"], "of": "last", "field": "total"}, 9.0),
        ({"path": ["gone"], "of": "value"}, None),
        ({"op": "/", "left": {"number": 1}, "right": {"number": 4}}, 0.25),
        ({"op": "/", "left": {"number": 1}, "right": {"number": 0}}, None),
        ({"op": "-", "left": {"number": 1}, "right": {"path": ["gone"], "of": "value"}}, None),
        ({"op": "*", "left": {"number": 2}, "right": {"op": "+", "left": {"number": 1}, "right": {"number": 2}}}, 6.0),
    ],
)
def test_value_path_or_formula_returns_number(source: dict[str, Any], expected: float | None) -> None:
    bucket = {
        "f": {"doc_count": 1, "v": {"value": 8}},
        "p": {"values": {"50.0": 5}},
        "l": {"hits": {"hits": [{"_source": {"total": 9}}]}},
    }
    assert value(bucket, source) == expected
