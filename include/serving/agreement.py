"""Whether Kibana asks for a panel what the pages ask: both come from one YAML, by two ways.

kb-dashboard leaves some of what it does not know out without a word; a panel would then show another figure there.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from include.serving.objects import decoded
from include.serving.panels import Board, Panel

_OPERATIONS = {"avg": "average", "cardinality": "unique_count"}
_SAME = {"median": "percentiles", "percentile": "percentiles"}
_NO_QUESTION = ("formula", "math", "static_value")


class Question(NamedTuple):
    """What is asked, put the same way for both: buckets from the outermost in, and what is counted in each."""

    source: str
    query: str
    buckets: tuple[tuple[Any, ...], ...]
    figures: frozenset[tuple[str, str, str]]


def disagreements(objects: str, boards: Iterable[Board]) -> list[str]:
    """Panels for which Kibana would ask something else than the pages, one line each."""
    known = {(about["type"], about["id"]): about for about in map(json.loads, objects.splitlines())}
    found = []
    for board in boards:
        dashboard = decoded(known["dashboard", f"showroom-{board.id}"])
        there = {panel["panelIndex"]: panel for panel in dashboard["panelsJSON"]}
        for panel in board.panels:
            if panel.index:
                found += [f"panel {panel.id}: {line}" for line in _differences(panel, there[panel.id], known)]
    return found


def _differences(
    panel: Panel, there: Mapping[str, Any], known: Mapping[tuple[str, str], Mapping[str, Any]]
) -> Iterator[str]:
    if panel.kind == "search":
        saved = known["search", there["embeddableConfig"]["savedObjectId"]]
        kibana, pages = _of_search(decoded(saved), saved["references"]), _of_rows(panel)
    else:
        kibana, pages = _of_lens(there["embeddableConfig"]["attributes"]), _of_body(panel)
    for name, one, other in zip(Question._fields, kibana, pages, strict=True):
        if one != other:
            yield f"Kibana asks for {name} {_shown(one)}, the pages for {_shown(other)}"


def _shown(part: Any) -> str:
    return str(sorted(part)) if isinstance(part, frozenset) else repr(part)


def _of_search(attributes: Mapping[str, Any], references: Sequence[Mapping[str, str]]) -> Question:
    query = attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]["query"]["query"]
    order = tuple(tuple(part) for part in attributes["sort"])
    shown = (tuple(attributes["columns"]), attributes["sampleSize"])
    return Question(references[0]["id"], query, (*order, shown), frozenset())


def _of_rows(panel: Panel) -> Question:
    order = tuple(pair for part in panel.body["sort"] for pair in part.items())
    shown = (tuple(panel.body["_source"]), panel.body["size"])
    return Question(panel.index, _text(panel.body["query"]["bool"]["filter"]), (*order, shown), frozenset())


def _of_lens(attributes: Mapping[str, Any]) -> Question:
    ((_, layer),) = attributes["state"]["datasourceStates"]["formBased"]["layers"].items()
    columns = layer["columns"]
    asked = [columns[name] for name in layer["columnOrder"]]
    return Question(
        source=attributes["references"][0]["id"],
        query=attributes["state"]["query"]["query"],
        buckets=tuple(_bucket_there(column, columns) for column in asked if column["isBucketed"]),
        figures=frozenset(_figures_there(column for column in asked if not column["isBucketed"])),
    )


def _bucket_there(column: Mapping[str, Any], columns: Mapping[str, Any]) -> tuple[Any, ...]:
    about = column.get("params", {})
    match column["operationType"]:
        case "terms":
            order = about["orderBy"]
            by = "key" if order["type"] == "alphabetical" else columns[order["columnId"]]["operationType"]
            return ("terms", column["sourceField"], about["size"], by, about["orderDirection"])
        case "filters":
            return ("filters", *((part["label"], part["input"]["query"]) for part in about["filters"]))
    return (column["operationType"], column["sourceField"])


def _figures_there(columns: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    for column in columns:
        operation, filtered = column["operationType"], column.get("filter") or {"query": ""}
        if operation in _NO_QUESTION:
            continue
        # Every answer counts its documents, so that is asked by asking nothing.
        if operation != "count":
            yield (_SAME.get(operation, operation), column["sourceField"], filtered["query"])
        elif filtered["query"]:
            yield ("count", "", filtered["query"])


def _of_body(panel: Panel) -> Question:
    buckets: list[tuple[Any, ...]] = []
    figures: set[tuple[str, str, str]] = set()
    _walk(panel.body.get("aggs", {}), "", buckets, figures)
    query = _text(panel.body["query"]["bool"]["filter"])
    return Question(panel.index, query, tuple(buckets), frozenset(figures))


def _walk(
    aggs: Mapping[str, Any], within: str, buckets: list[tuple[Any, ...]], figures: set[tuple[str, str, str]]
) -> None:
    for part in aggs.values():
        (kind,) = (name for name in part if name not in ("aggs", "meta"))
        about, inner = part[kind], part.get("aggs", {})
        scope = _text([about]) if kind == "filter" else within
        if kind == "filter":
            if not inner:
                figures.add(("count", "", scope))
        elif kind in ("terms", "filters", "date_histogram"):
            buckets.append(_bucket_here(kind, about, inner))
        else:
            figures.add((_OPERATIONS.get(kind, kind), about["field"], scope))
        _walk(inner, scope, buckets, figures)


def _bucket_here(kind: str, about: Mapping[str, Any], inner: Mapping[str, Any]) -> tuple[Any, ...]:
    match kind:
        case "terms":
            ((by, direction),) = about["order"].items()
            return ("terms", about["field"], about["size"], _order(by, inner), direction)
        case "filters":
            return ("filters", *((label, _text([query])) for label, query in about["filters"].items()))
    return (kind, about["field"])


def _order(by: str, inner: Mapping[str, Any]) -> str:
    if by.startswith("_"):
        return by.removeprefix("_")
    part = inner[by.split(">", maxsplit=1)[0]]
    if "filter" in part:
        return "formula"
    kind = str(next(name for name in part if name != "aggs"))
    return _OPERATIONS.get(kind, kind)


def _text(filters: Sequence[Mapping[str, Any]]) -> str:
    """The text of the one query there is, or nothing."""
    return " AND ".join(str(part["query_string"]["query"]) for part in filters)
