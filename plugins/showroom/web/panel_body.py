"""Look up aggregations and fields in the `_search` body of a panel."""

from collections.abc import Mapping, Sequence
from typing import Any

from include.dashboards.model import Panel


def document_fields(panel: Panel) -> dict[str, str]:
    """Return column key -> document field, for the columns that show a field."""
    fields = {column.key: column.key for column in panel.columns if column.role == "field"}
    return fields | dict(_terms_fields(panel.body.get("aggs", {})))


def find_aggregation(panel: Panel, key: str, aggs: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the aggregation of a dimension; empty if there is none."""
    aggregations = panel.body.get("aggs", {}) if aggs is None else aggs
    for name, aggregation in aggregations.items():
        if name == key:
            return dict(aggregation)
        inner = find_aggregation(panel, key, aggregation.get("aggs", {}))
        if inner:
            return inner
    return {}


def aggregation_kind(body: Mapping[str, Any], path: Sequence[str]) -> str:
    """Return the kind of the aggregation at the end of a path that starts anywhere in a body; empty if none."""
    for name, aggregation in body.get("aggs", {}).items():
        if name == path[0]:
            return aggregation_kind(aggregation, path[1:]) if path[1:] else next(iter(set(aggregation) - {"aggs"}))
        if kind := aggregation_kind(aggregation, path):
            return kind
    return ""


def _terms_fields(aggs: Mapping[str, Any]) -> list[tuple[str, str]]:
    fields = [(key, str(part["terms"]["field"])) for key, part in aggs.items() if "field" in part.get("terms", {})]
    return fields + [pair for part in aggs.values() for pair in _terms_fields(part.get("aggs", {}))]
