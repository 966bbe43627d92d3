"""Checks on the fields that Kibana's saved objects name: each is in the index, and of a type that fits its use."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from include.contracts.errors import TerminalError
from include.serving.fields import Fields

RECORDS = "___records___"

_NUMBERS = ("long", "double")
_COUNTED = ("keyword", "boolean", "date", *_NUMBERS)
# What each operation of a Lens column may be done with; those without a field are not here.
_OPERATIONS: dict[str, tuple[str, ...]] = {
    "terms": ("keyword", "boolean", *_NUMBERS),
    "date_histogram": ("date",),
    "range": _NUMBERS,
    "unique_count": _COUNTED,
    "count": _COUNTED,
    "sum": _NUMBERS,
    "average": _NUMBERS,
    "median": _NUMBERS,
    "standard_deviation": _NUMBERS,
    "percentile": _NUMBERS,
    "percentile_rank": _NUMBERS,
    "min": ("date", *_NUMBERS),
    "max": ("date", *_NUMBERS),
    "last_value": _COUNTED,
}
_WITHOUT_FIELD = ("filters", "formula", "math", "static_value")
_SHOWN = ("text", *_COUNTED)
_LAYER = "indexpattern-datasource-layer-"
_SOURCE = "kibanaSavedObjectMeta.searchSourceJSON.index"


def data_view_complaints(attributes: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a data view: its index and its time field."""
    try:
        fields = Fields(str(attributes["title"]))
        fields.require(attributes.get("timeFieldName", ""), ("date",), "the time field")
    except TerminalError as error:
        yield error.message


def search_complaints(attributes: Mapping[str, Any], references: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """What is wrong with a saved search: its data view, its columns, its order, its query."""
    source = attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]
    named = {reference["name"]: reference["id"] for reference in references}
    view = named.get(source.get("indexRefName", _SOURCE))
    if view is None:
        yield "has no data view"
        return
    try:
        fields = Fields(view)
    except TerminalError as error:
        yield error.message
        return
    uses: list[tuple[str, tuple[str, ...], str]] = [(column, _SHOWN, "a column") for column in attributes["columns"]]
    uses += [(order[0], _COUNTED, "an order") for order in attributes["sort"]]
    yield from _misfits(fields, uses)
    yield from _misread(fields, source.get("query"))


def control_complaints(about: Mapping[str, Any], view: str | None) -> Iterator[str]:
    """What is wrong with a control that offers the values of a field; `view` is what its reference leads to."""
    if view is None or view != about.get("dataViewId", view):
        yield "has no reference to its data view"
        return
    try:
        Fields(view).require(about["fieldName"], ("keyword", "boolean"), "a control")
    except TerminalError as error:
        yield error.message


def lens_complaints(attributes: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a Lens chart: data views, fields, queries, and what its drawing names."""
    views = {reference["name"]: reference["id"] for reference in attributes["references"]}
    state = attributes["state"]
    for layer, about in state["datasourceStates"]["formBased"]["layers"].items():
        view = views.get(f"{_LAYER}{layer}")
        if view is None:
            yield f"layer {layer} has no data view"
            continue
        try:
            fields = Fields(view)
        except TerminalError as error:
            yield error.message
            continue
        yield from _misread(fields, state.get("query"))
        yield from _columns(fields, about["columns"], about["columnOrder"])


def _columns(fields: Fields, columns: Mapping[str, Any], order: Sequence[str]) -> Iterator[str]:
    if sorted(order) != sorted(columns):
        yield "the order of its columns does not name each once"
    for name, column in columns.items():
        operation = column["operationType"]
        yield from (f"column {name} needs {other}" for other in column.get("references", ()) if other not in columns)
        yield from _misread(fields, column.get("filter"))
        for part in column.get("params", {}).get("filters", ()):
            yield from _misread(fields, part["input"])
        if operation in _WITHOUT_FIELD or (operation == "count" and column["sourceField"] == RECORDS):
            continue
        if operation not in _OPERATIONS:
            yield f"column {name} does what nobody checks: {operation}"
            continue
        yield from _misfits(fields, [(column["sourceField"], _OPERATIONS[operation], operation)])


def _misfits(fields: Fields, uses: Sequence[tuple[str, tuple[str, ...], str]]) -> Iterator[str]:
    for field, types, use in uses:
        try:
            fields.require(field, types, use)
        except TerminalError as error:
            yield error.message


def _misread(fields: Fields, query: Mapping[str, Any] | None) -> Iterator[str]:
    """A query in an object is KQL and may be empty."""
    if not query or not query["query"]:
        return
    if query["language"] != "kuery":
        yield f"query {query['query']!r} is not KQL but {query['language']}"
        return
    try:
        fields.query({"kql": query["query"]})
    except TerminalError as error:
        yield error.message
