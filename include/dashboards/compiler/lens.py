"""Compile a Lens chart to one `_search` body: nested dimension aggregations, metrics inside the innermost."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from include.dashboards.compiler.index_schema import IndexSchema, UnsupportedDashboardError
from include.dashboards.compiler.metrics import Metric, compile_metric
from include.dashboards.model import Column, Mode

MAX_TERMS = 1_000
# Options that affect only the appearance; they do not change the query.
_APPEARANCE = {
    "type",
    "data_view",
    "id",
    "appearance",
    "legend",
    "color",
    "titles_and_text",
    "sorting",
    "paging",
    "mode",
}
_METRIC_APPEARANCE = {"id", "label", "format", "exclude_zeros"}
_UNIT_SECONDS = {"m": 60, "h": 3_600, "d": 86_400}

Parts = tuple[list[tuple[str, Mapping[str, Any]]], list[tuple[str, Mapping[str, Any]]]]
"""Dimensions from the outermost to the innermost, and metrics, each with its key."""


class _Dimension(NamedTuple):
    """An aggregation, the column of its buckets, and the sub-aggregations that its order needs."""

    agg: dict[str, Any]
    column: Column
    order_aggs: dict[str, Any]


def compile_chart(
    definition: Mapping[str, Any], schema: IndexSchema
) -> tuple[dict[str, Any], tuple[Column, ...], Mode]:
    """Return a chart's body, its table columns and its stack mode. Raises UnsupportedDashboardError."""
    kind = str(definition["type"])
    dimensions, entries = _parts(kind, definition)
    metrics = {key: compile_metric(key, entry, schema) for key, entry in entries}
    _require_supported(entries)
    aggs: dict[str, Any] = {}
    for metric in metrics.values():
        aggs.update(metric.aggs)
    columns: list[Column] = []
    for key, entry in reversed(dimensions):
        dimension = _dimension(key, entry, schema, entries, metrics)
        inner = {**dimension.order_aggs, **aggs}
        aggs = {key: {**dimension.agg, **({"aggs": inner} if inner else {})}}
        columns.insert(0, dimension.column)
    filters = [schema.query(definition["query"])] if definition.get("query") else []
    body: dict[str, Any] = {"size": 0, "track_total_hits": not dimensions, "query": {"bool": {"filter": filters}}}
    if aggs:
        body["aggs"] = aggs
    columns += [_column(key, entry, metrics[key]) for key, entry in entries]
    return body, tuple(columns), definition.get("mode", "stacked") if kind in ("bar", "area") else ""


def _parts(kind: str, definition: Mapping[str, Any]) -> Parts:
    match kind:
        case "metric":
            used = {"primary", "secondary"}
            dimensions: list[tuple[str, Any]] = []
            metrics = [
                (f"m{number}", definition[name])
                for number, name in enumerate(("primary", "secondary"))
                if name in definition
            ]
        case "line" | "area" | "bar":
            used = {"dimension", "breakdown", "metrics"}
            dimensions = [(name, definition[name]) for name in ("breakdown", "dimension") if name in definition]
            metrics = _numbered(definition["metrics"])
        case "pie" | "datatable":
            used = {"breakdowns", "metrics"}
            dimensions = [(f"b{number}", entry) for number, entry in enumerate(definition.get("breakdowns", []))]
            metrics = _numbered(definition["metrics"])
        case "heatmap":
            used = {"x_axis", "y_axis", "metric"}
            dimensions = [(name[0], definition[name]) for name in ("y_axis", "x_axis") if name in definition]
            metrics = [("m0", definition["metric"])]
        case _:
            raise UnsupportedDashboardError(f"a chart of type {kind!r} cannot be translated")
    unknown = sorted(set(definition) - used - _APPEARANCE - {"query"})
    if unknown:
        raise UnsupportedDashboardError(f"{', '.join(unknown)} of a {kind} cannot be translated")
    return dimensions, metrics


def _numbered(entries: Sequence[Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(f"m{number}", entry) for number, entry in enumerate(entries)]


def _require_supported(entries: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    for _, entry in entries:
        unknown = sorted(
            set(entry) - _METRIC_APPEARANCE - {"aggregation", "field", "filter", "formula", "percentile", "date_field"}
        )
        if unknown:
            raise UnsupportedDashboardError(f"{', '.join(unknown)} of a metric cannot be translated")


def _dimension(
    key: str,
    entry: Mapping[str, Any],
    schema: IndexSchema,
    entries: Sequence[tuple[str, Mapping[str, Any]]],
    metrics: Mapping[str, Metric],
) -> _Dimension:
    label = str(entry.get("label") or entry.get("field", ""))

    def column(kind: str, format_: str) -> Column:
        return Column(key=key, label=label, role="dimension", type=kind, format=format_)  # type: ignore[arg-type]

    match entry.get("type"):
        case "date_histogram":
            _expect(entry, {"field", "minimum_interval"})
            schema.require(entry["field"], ("date",), "a date histogram")
            interval = _interval(str(entry.get("minimum_interval", "auto")))
            series = {"field": entry["field"], "fixed_interval": interval, "min_doc_count": 0}
            return _Dimension({"date_histogram": series}, column("time", "time"), {})
        case "values":
            _expect(entry, {"field", "size", "sort", "show_other_bucket", "include_missing_values"})
            field_type = schema.require(entry["field"], ("keyword", "long", "boolean"), "values")
            kind = {"keyword": "text", "long": "number", "boolean": "boolean"}[field_type]
            order, order_aggs = _order(entry, entries, metrics)
            return _Dimension({"terms": {**_terms(entry), "order": order}}, column(kind, "text"), order_aggs)
        case "filters":
            _expect(entry, {"filters"})
            filters = {str(part["label"]): schema.query(part["query"]) for part in entry["filters"]}
            return _Dimension({"filters": {"filters": filters}}, column("text", "text"), {})
    raise UnsupportedDashboardError(f"a dimension of type {entry.get('type')!r} cannot be translated")


def _terms(entry: Mapping[str, Any]) -> dict[str, Any]:
    if entry.get("show_other_bucket", True):
        raise UnsupportedDashboardError("an other bucket needs a second query: set show_other_bucket: false")
    if entry.get("include_missing_values"):
        raise UnsupportedDashboardError("Kibana shows missing values beside an other bucket only: leave them out")
    size = int(entry.get("size", 3))
    if not 0 < size <= MAX_TERMS:
        raise UnsupportedDashboardError(f"size {size} is not between 1 and {MAX_TERMS}")
    return {"field": entry["field"], "size": size}


def _order(
    entry: Mapping[str, Any], entries: Sequence[tuple[str, Mapping[str, Any]]], metrics: Mapping[str, Metric]
) -> tuple[dict[str, str], dict[str, Any]]:
    key, direction = entries[0][0], "desc"
    if "sort" in entry:
        names = {name: key for key, part in entries for name in (part.get("id"), part.get("label")) if name}
        by, direction = str(entry["sort"]["by"]), str(entry["sort"].get("direction", "asc"))
        if by not in names:
            raise UnsupportedDashboardError(f"values are sorted by {by!r}, which is not a metric of the panel")
        key = names[by]
    if "formula" in dict(entries)[key]:
        # Because Kibana cannot sort by a formula, it sorts by the values themselves.
        return {"_key": direction}, {}
    order = metrics[key].order
    if not order:
        raise UnsupportedDashboardError("values cannot be sorted by a metric of this kind")
    return {order: direction}, metrics[key].aggs


def _interval(text: str) -> str:
    if text == "auto":
        return "60s"
    if text[-1] not in _UNIT_SECONDS or not text[:-1].isdigit():
        raise UnsupportedDashboardError(f"interval {text!r} cannot be translated, only minutes, hours and days can: 1h")
    return f"{int(text[:-1]) * _UNIT_SECONDS[text[-1]]}s"


def _column(key: str, entry: Mapping[str, Any], metric: Metric) -> Column:
    format_ = entry.get("format") or {}
    kind = str(format_.get("type", "number"))
    decimals: int | None = format_.get("decimals")
    if kind == "custom":
        # A pattern of numeral.js: 0,0.00 has two decimals.
        kind, decimals = "number", len(str(format_["pattern"]).partition(".")[2])
    if kind not in ("number", "percent", "duration"):
        raise UnsupportedDashboardError(f"format {kind!r} cannot be translated")
    label = str(entry.get("label") or entry.get("formula") or entry.get("aggregation", "count"))
    return Column(
        key=key,
        label=label,
        role="metric",
        type="number",
        format=kind,  # type: ignore[arg-type]
        decimals=decimals,
        suffix=str(format_.get("suffix", "")),
        value=metric.value,
    )


def _expect(entry: Mapping[str, Any], supported: set[str]) -> None:
    unknown = sorted(set(entry) - supported - {"type", "id", "label"})
    if unknown:
        raise UnsupportedDashboardError(
            f"{', '.join(unknown)} of a dimension of type {entry['type']} cannot be translated"
        )
