"""Lens charts as one `_search` body each: dimensions nested as aggregations, metrics inside the innermost."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from include.serving.fields import Fields, Refused
from include.serving.metrics import Metric, metric
from include.serving.panels import Column, Mode

MAX_TERMS = 1_000
# How a chart looks is Kibana's, and the page's, own affair.
_LOOKS = {"type", "data_view", "id", "appearance", "legend", "color", "titles_and_text", "sorting", "paging", "mode"}
_METRIC_LOOKS = {"id", "label", "format", "exclude_zeros"}
_UNITS = {"m": 60, "h": 3_600, "d": 86_400}

Parts = tuple[list[tuple[str, Mapping[str, Any]]], list[tuple[str, Mapping[str, Any]]]]
"""Dimensions from the outermost on, and metrics; each with its key."""


class _Dimension(NamedTuple):
    """An aggregation, the column of its buckets, and what it needs inside itself to sort them."""

    agg: dict[str, Any]
    column: Column
    needs: dict[str, Any]


def chart(about: Mapping[str, Any], fields: Fields) -> tuple[dict[str, Any], tuple[Column, ...], Mode]:
    """A chart's body, the columns of its table, and how its series stack. Raises Refused."""
    kind = str(about["type"])
    dimensions, asked = _parts(kind, about)
    metrics = {key: metric(key, entry, fields) for key, entry in asked}
    _known(asked)
    aggs: dict[str, Any] = {}
    for found in metrics.values():
        aggs.update(found.aggs)
    columns: list[Column] = []
    for key, entry in reversed(dimensions):
        made = _dimension(key, entry, fields, asked, metrics)
        inner = {**made.needs, **aggs}
        aggs = {key: {**made.agg, **({"aggs": inner} if inner else {})}}
        columns.insert(0, made.column)
    filters = [fields.query(about["query"])] if about.get("query") else []
    body: dict[str, Any] = {"size": 0, "track_total_hits": not dimensions, "query": {"bool": {"filter": filters}}}
    if aggs:
        body["aggs"] = aggs
    columns += [_column(key, entry, metrics[key]) for key, entry in asked]
    return body, tuple(columns), about.get("mode", "stacked") if kind in ("bar", "area") else ""


def _parts(kind: str, about: Mapping[str, Any]) -> Parts:
    match kind:
        case "metric":
            used = {"primary", "secondary"}
            dimensions: list[tuple[str, Any]] = []
            metrics = [
                (f"m{place}", about[name]) for place, name in enumerate(("primary", "secondary")) if name in about
            ]
        case "line" | "area" | "bar":
            used = {"dimension", "breakdown", "metrics"}
            dimensions = [(name, about[name]) for name in ("breakdown", "dimension") if name in about]
            metrics = _numbered(about["metrics"])
        case "pie" | "datatable":
            used = {"breakdowns", "metrics"}
            dimensions = [(f"b{place}", entry) for place, entry in enumerate(about.get("breakdowns", []))]
            metrics = _numbered(about["metrics"])
        case "heatmap":
            used = {"x_axis", "y_axis", "metric"}
            dimensions = [(name[0], about[name]) for name in ("y_axis", "x_axis") if name in about]
            metrics = [("m0", about["metric"])]
        case _:
            raise Refused(f"a chart of type {kind!r} cannot be translated")
    strange = sorted(set(about) - used - _LOOKS - {"query"})
    if strange:
        raise Refused(f"{', '.join(strange)} of a {kind} cannot be translated")
    return dimensions, metrics


def _numbered(entries: Sequence[Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(f"m{place}", entry) for place, entry in enumerate(entries)]


def _known(asked: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    for _, entry in asked:
        strange = sorted(
            set(entry) - _METRIC_LOOKS - {"aggregation", "field", "filter", "formula", "percentile", "date_field"}
        )
        if strange:
            raise Refused(f"{', '.join(strange)} of a metric cannot be translated")


def _dimension(
    key: str,
    entry: Mapping[str, Any],
    fields: Fields,
    asked: Sequence[tuple[str, Mapping[str, Any]]],
    metrics: Mapping[str, Metric],
) -> _Dimension:
    label = str(entry.get("label") or entry.get("field", ""))

    def column(kind: str, shown: str) -> Column:
        return Column(key=key, label=label, role="dimension", type=kind, format=shown)  # type: ignore[arg-type]

    match entry.get("type"):
        case "date_histogram":
            _expect(entry, {"field", "minimum_interval"})
            fields.require(entry["field"], ("date",), "a date histogram")
            interval = _interval(str(entry.get("minimum_interval", "auto")))
            series = {"field": entry["field"], "fixed_interval": interval, "min_doc_count": 0}
            return _Dimension({"date_histogram": series}, column("time", "time"), {})
        case "values":
            _expect(entry, {"field", "size", "sort", "show_other_bucket", "include_missing_values"})
            found = fields.require(entry["field"], ("keyword", "long", "boolean"), "values")
            kind = {"keyword": "text", "long": "number", "boolean": "boolean"}[found]
            order, needs = _order(entry, asked, metrics)
            return _Dimension({"terms": {**_terms(entry), "order": order}}, column(kind, "text"), needs)
        case "filters":
            _expect(entry, {"filters"})
            filters = {str(part["label"]): fields.query(part["query"]) for part in entry["filters"]}
            return _Dimension({"filters": {"filters": filters}}, column("text", "text"), {})
    raise Refused(f"a dimension of type {entry.get('type')!r} cannot be translated")


def _terms(entry: Mapping[str, Any]) -> dict[str, Any]:
    if entry.get("show_other_bucket", True):
        raise Refused("an other bucket needs a second question: set show_other_bucket: false")
    if entry.get("include_missing_values"):
        raise Refused("Kibana shows missing values beside an other bucket only: leave them out")
    size = int(entry.get("size", 3))
    if not 0 < size <= MAX_TERMS:
        raise Refused(f"size {size} is not between 1 and {MAX_TERMS}")
    return {"field": entry["field"], "size": size}


def _order(
    entry: Mapping[str, Any], asked: Sequence[tuple[str, Mapping[str, Any]]], metrics: Mapping[str, Metric]
) -> tuple[dict[str, str], dict[str, Any]]:
    key, direction = asked[0][0], "desc"
    if "sort" in entry:
        names = {name: key for key, part in asked for name in (part.get("id"), part.get("label")) if name}
        by, direction = str(entry["sort"]["by"]), str(entry["sort"].get("direction", "asc"))
        if by not in names:
            raise Refused(f"values are sorted by {by!r}, which is no metric of the panel")
        key = names[by]
    if "formula" in dict(asked)[key]:
        # Kibana cannot sort by a formula: it sorts by the values themselves.
        return {"_key": direction}, {}
    order = metrics[key].order
    if not order:
        raise Refused("values cannot be sorted by a metric of this kind")
    return {order: direction}, metrics[key].aggs


def _interval(asked: str) -> str:
    if asked == "auto":
        return "60s"
    if asked[-1] not in _UNITS or not asked[:-1].isdigit():
        raise Refused(f"interval {asked!r} cannot be translated, only minutes, hours and days can: 1h")
    return f"{int(asked[:-1]) * _UNITS[asked[-1]]}s"


def _column(key: str, entry: Mapping[str, Any], found: Metric) -> Column:
    look = entry.get("format") or {}
    shown = str(look.get("type", "number"))
    decimals: int | None = look.get("decimals")
    if shown == "custom":
        # A pattern of numeral.js: 0,0.00 has two decimals.
        shown, decimals = "number", len(str(look["pattern"]).partition(".")[2])
    if shown not in ("number", "percent", "duration"):
        raise Refused(f"format {shown!r} cannot be translated")
    label = str(entry.get("label") or entry.get("formula") or entry.get("aggregation", "count"))
    return Column(
        key=key,
        label=label,
        role="metric",
        type="number",
        format=shown,  # type: ignore[arg-type]
        decimals=decimals,
        suffix=str(look.get("suffix", "")),
        value=found.value,
    )


def _expect(entry: Mapping[str, Any], known: set[str]) -> None:
    strange = sorted(set(entry) - known - {"type", "id", "label"})
    if strange:
        raise Refused(f"{', '.join(strange)} of a dimension of type {entry['type']} cannot be translated")
