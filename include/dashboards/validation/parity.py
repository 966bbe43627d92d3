"""Verify that Kibana sends the same query for a panel as the pages do; both are compiled from one definition.

kb-dashboard ignores some options that it does not support. The panel would then show another value in Kibana.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from include.dashboards.model import Dashboard, Panel
from include.dashboards.validation.saved_objects import decode_attributes

_AGGREGATION_OPERATIONS = {"avg": "average", "cardinality": "unique_count"}
_LENS_OPERATIONS = {"median": "percentiles", "percentile": "percentiles"}
_WITHOUT_QUERY = ("formula", "math", "static_value")


class PanelQuery(NamedTuple):
    """A panel's query in a form that both sides share: buckets from the outermost in, and the metrics in each."""

    source: str
    query: str
    buckets: tuple[tuple[Any, ...], ...]
    metrics: frozenset[tuple[str, str, str]]


def parity_errors(saved_objects: str, dashboards: Iterable[Dashboard]) -> list[str]:
    """Return one line for each panel that Kibana queries otherwise than the pages."""
    objects = {(saved["type"], saved["id"]): saved for saved in map(json.loads, saved_objects.splitlines())}
    errors = []
    for dashboard in dashboards:
        attributes = decode_attributes(objects["dashboard", f"showroom-{dashboard.id}"])
        kibana_panels = {panel["panelIndex"]: panel for panel in attributes["panelsJSON"]}
        for panel in dashboard.panels:
            if panel.index:
                differences = _differences(panel, kibana_panels[panel.id], objects)
                errors += [f"panel {panel.id}: {line}" for line in differences]
    return errors


def _differences(
    panel: Panel, kibana_panel: Mapping[str, Any], objects: Mapping[tuple[str, str], Mapping[str, Any]]
) -> Iterator[str]:
    if panel.kind == "search":
        saved = objects["search", kibana_panel["embeddableConfig"]["savedObjectId"]]
        kibana, pages = _from_saved_search(decode_attributes(saved), saved["references"]), _from_document_panel(panel)
    else:
        kibana, pages = _from_lens(kibana_panel["embeddableConfig"]["attributes"]), _from_body(panel)
    for name, in_kibana, in_pages in zip(PanelQuery._fields, kibana, pages, strict=True):
        if in_kibana != in_pages:
            yield f"Kibana queries {name} {_to_text(in_kibana)}, the pages query {_to_text(in_pages)}"


def _to_text(part: Any) -> str:
    return str(sorted(part)) if isinstance(part, frozenset) else repr(part)


def _from_saved_search(attributes: Mapping[str, Any], references: Sequence[Mapping[str, str]]) -> PanelQuery:
    query = attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]["query"]["query"]
    order = tuple(tuple(part) for part in attributes["sort"])
    columns = (tuple(attributes["columns"]), attributes["sampleSize"])
    return PanelQuery(references[0]["id"], query, (*order, columns), frozenset())


def _from_document_panel(panel: Panel) -> PanelQuery:
    order = tuple(pair for part in panel.body["sort"] for pair in part.items())
    columns = (tuple(panel.body["_source"]), panel.body["size"])
    return PanelQuery(panel.index, _query_text(panel.body["query"]["bool"]["filter"]), (*order, columns), frozenset())


def _from_lens(attributes: Mapping[str, Any]) -> PanelQuery:
    ((_, layer),) = attributes["state"]["datasourceStates"]["formBased"]["layers"].items()
    columns = layer["columns"]
    ordered = [columns[name] for name in layer["columnOrder"]]
    return PanelQuery(
        source=attributes["references"][0]["id"],
        query=attributes["state"]["query"]["query"],
        buckets=tuple(_lens_bucket(column, columns) for column in ordered if column["isBucketed"]),
        metrics=frozenset(_lens_metrics(column for column in ordered if not column["isBucketed"])),
    )


def _lens_bucket(column: Mapping[str, Any], columns: Mapping[str, Any]) -> tuple[Any, ...]:
    params = column.get("params", {})
    match column["operationType"]:
        case "terms":
            order = params["orderBy"]
            by = "key" if order["type"] == "alphabetical" else columns[order["columnId"]]["operationType"]
            return ("terms", column["sourceField"], params["size"], by, params["orderDirection"])
        case "filters":
            return ("filters", *((part["label"], part["input"]["query"]) for part in params["filters"]))
    return (column["operationType"], column["sourceField"])


def _lens_metrics(columns: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    for column in columns:
        operation, filtered = column["operationType"], column.get("filter") or {"query": ""}
        if operation in _WITHOUT_QUERY:
            continue
        # `doc_count` is always returned, so a plain count needs no aggregation.
        if operation != "count":
            yield (_LENS_OPERATIONS.get(operation, operation), column["sourceField"], filtered["query"])
        elif filtered["query"]:
            yield ("count", "", filtered["query"])


def _from_body(panel: Panel) -> PanelQuery:
    buckets: list[tuple[Any, ...]] = []
    metrics: set[tuple[str, str, str]] = set()
    _collect(panel.body.get("aggs", {}), "", buckets, metrics)
    query = _query_text(panel.body["query"]["bool"]["filter"])
    return PanelQuery(panel.index, query, tuple(buckets), frozenset(metrics))


def _collect(
    aggs: Mapping[str, Any], within: str, buckets: list[tuple[Any, ...]], metrics: set[tuple[str, str, str]]
) -> None:
    for aggregation in aggs.values():
        (kind,) = (name for name in aggregation if name not in ("aggs", "meta"))
        params, inner = aggregation[kind], aggregation.get("aggs", {})
        scope = _query_text([params]) if kind == "filter" else within
        if kind == "filter":
            if not inner:
                metrics.add(("count", "", scope))
        elif kind in ("terms", "filters", "date_histogram"):
            buckets.append(_body_bucket(kind, params, inner))
        else:
            metrics.add((_AGGREGATION_OPERATIONS.get(kind, kind), params["field"], scope))
        _collect(inner, scope, buckets, metrics)


def _body_bucket(kind: str, params: Mapping[str, Any], inner: Mapping[str, Any]) -> tuple[Any, ...]:
    match kind:
        case "terms":
            ((by, direction),) = params["order"].items()
            return ("terms", params["field"], params["size"], _order_operation(by, inner), direction)
        case "filters":
            return ("filters", *((label, _query_text([query])) for label, query in params["filters"].items()))
    return (kind, params["field"])


def _order_operation(by: str, inner: Mapping[str, Any]) -> str:
    if by.startswith("_"):
        return by.removeprefix("_")
    aggregation = inner[by.split(">", maxsplit=1)[0]]
    if "filter" in aggregation:
        return "formula"
    kind = str(next(name for name in aggregation if name != "aggs"))
    return _AGGREGATION_OPERATIONS.get(kind, kind)


def _query_text(filters: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of the query; empty if there is none."""
    return " AND ".join(str(part["query_string"]["query"]) for part in filters)
