"""Validate the fields that Kibana's saved objects name: each exists in the index with a type that fits its use."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from include.contracts.errors import TerminalError
from include.dashboards.compiler.index_schema import IndexSchema

RECORDS = "___records___"

_NUMBERS = ("long", "double")
_COUNTABLE = ("keyword", "boolean", "date", *_NUMBERS)
# Field types that each operation of a Lens column accepts. Operations without a field are not listed.
_OPERATIONS: dict[str, tuple[str, ...]] = {
    "terms": ("keyword", "boolean", *_NUMBERS),
    "date_histogram": ("date",),
    "range": _NUMBERS,
    "unique_count": _COUNTABLE,
    "count": _COUNTABLE,
    "sum": _NUMBERS,
    "average": _NUMBERS,
    "median": _NUMBERS,
    "standard_deviation": _NUMBERS,
    "percentile": _NUMBERS,
    "percentile_rank": _NUMBERS,
    "min": ("date", *_NUMBERS),
    "max": ("date", *_NUMBERS),
    "last_value": _COUNTABLE,
}
_WITHOUT_FIELD = ("filters", "formula", "math", "static_value")
_DISPLAYABLE = ("text", *_COUNTABLE)
_LAYER = "indexpattern-datasource-layer-"
_INDEX_REFERENCE = "kibanaSavedObjectMeta.searchSourceJSON.index"


def data_view_errors(attributes: Mapping[str, Any]) -> Iterator[str]:
    """Yield errors in a data view: its index and its time field."""
    try:
        schema = IndexSchema(str(attributes["title"]))
        schema.require(attributes.get("timeFieldName", ""), ("date",), "the time field")
    except TerminalError as error:
        yield error.message


def search_errors(attributes: Mapping[str, Any], references: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Yield errors in a saved search: its data view, columns, order and query."""
    source = attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]
    view_ids = {reference["name"]: reference["id"] for reference in references}
    view = view_ids.get(source.get("indexRefName", _INDEX_REFERENCE))
    if view is None:
        yield "has no data view"
        return
    try:
        schema = IndexSchema(view)
    except TerminalError as error:
        yield error.message
        return
    uses: list[tuple[str, tuple[str, ...], str]] = [
        (column, _DISPLAYABLE, "a column") for column in attributes["columns"]
    ]
    uses += [(order[0], _COUNTABLE, "an order") for order in attributes["sort"]]
    yield from _field_errors(schema, uses)
    yield from _query_errors(schema, source.get("query"))


def control_errors(options: Mapping[str, Any], view: str | None) -> Iterator[str]:
    """Yield errors in a control over a field's values; `view` is the data view that its reference names."""
    if view is None or view != options.get("dataViewId", view):
        yield "has no reference to its data view"
        return
    try:
        IndexSchema(view).require(options["fieldName"], ("keyword", "boolean"), "a control")
    except TerminalError as error:
        yield error.message


def lens_errors(attributes: Mapping[str, Any]) -> Iterator[str]:
    """Yield errors in a Lens chart: data views, fields, queries and columns."""
    views = {reference["name"]: reference["id"] for reference in attributes["references"]}
    state = attributes["state"]
    for layer, definition in state["datasourceStates"]["formBased"]["layers"].items():
        view = views.get(f"{_LAYER}{layer}")
        if view is None:
            yield f"layer {layer} has no data view"
            continue
        try:
            schema = IndexSchema(view)
        except TerminalError as error:
            yield error.message
            continue
        yield from _query_errors(schema, state.get("query"))
        yield from _columns(schema, definition["columns"], definition["columnOrder"])


def _columns(schema: IndexSchema, columns: Mapping[str, Any], order: Sequence[str]) -> Iterator[str]:
    if sorted(order) != sorted(columns):
        yield "the order of its columns does not name each once"
    for name, column in columns.items():
        operation = column["operationType"]
        yield from (f"column {name} needs {other}" for other in column.get("references", ()) if other not in columns)
        yield from _query_errors(schema, column.get("filter"))
        for part in column.get("params", {}).get("filters", ()):
            yield from _query_errors(schema, part["input"])
        if operation in _WITHOUT_FIELD or (operation == "count" and column["sourceField"] == RECORDS):
            continue
        if operation not in _OPERATIONS:
            yield f"column {name} has the unsupported operation {operation}"
            continue
        yield from _field_errors(schema, [(column["sourceField"], _OPERATIONS[operation], operation)])


def _field_errors(schema: IndexSchema, uses: Sequence[tuple[str, tuple[str, ...], str]]) -> Iterator[str]:
    for field, types, use in uses:
        try:
            schema.require(field, types, use)
        except TerminalError as error:
            yield error.message


def _query_errors(schema: IndexSchema, query: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield errors in the query of an object, which is KQL and may be empty."""
    if not query or not query["query"]:
        return
    if query["language"] != "kuery":
        yield f"query {query['query']!r} is not KQL but {query['language']}"
        return
    try:
        schema.query({"kql": query["query"]})
    except TerminalError as error:
        yield error.message
