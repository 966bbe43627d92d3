"""Compile metrics of a dashboard definition to aggregations: plain, filtered, and formulas over both."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from include.dashboards.compiler.index_schema import IndexSchema, UnsupportedDashboardError

NUMBERS = ("long", "double")
_AGGREGATIONS: dict[str, str] = {
    "sum": "sum",
    "average": "avg",
    "min": "min",
    "max": "max",
    "unique_count": "cardinality",
    "median": "percentiles",
    "percentile": "percentiles",
    "last_value": "top_hits",
}
_OPERATORS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_MEDIAN = 50


class Metric(NamedTuple):
    """Aggregations to request, the path or formula of the value, and the path to sort buckets by, if any."""

    aggs: dict[str, Any]
    value: dict[str, Any]
    order: str


def compile_metric(key: str, entry: Mapping[str, Any], schema: IndexSchema) -> Metric:
    """Compile one metric; `key` names its aggregation. Raises UnsupportedDashboardError."""
    if "formula" in entry:
        if "filter" in entry:
            raise UnsupportedDashboardError("a formula has its filter inside: count(kql='...')")
        return _formula(key, str(entry["formula"]), schema)
    if "value" in entry:
        raise UnsupportedDashboardError("a fixed value needs no query: use markdown")
    rank = entry.get("percentile", _MEDIAN)
    return _leaf(key, str(entry.get("aggregation", "count")), entry.get("field"), entry.get("filter"), schema, rank)


def _leaf(key: str, name: str, field: str | None, filtered: Any, schema: IndexSchema, rank: float = _MEDIAN) -> Metric:
    inner, source, order = _plain(name, field, schema, rank)
    path = []
    if inner:
        inner = {key: inner}
        path = [key]
        order = key if order else ""
    if filtered is not None:
        aggs: dict[str, Any] = {"filter": schema.query(filtered)}
        if path:
            aggs["aggs"] = {"v": inner[key]}
            path, order = [key, "v"], f"{key}>v" if order else ""
        else:
            path, order = [key], key
        inner = {key: aggs}
    return Metric(inner, {"path": path, **source}, order or ("_count" if not inner else ""))


def _plain(
    name: str, field: str | None, schema: IndexSchema, rank: float
) -> tuple[dict[str, Any], dict[str, Any], str]:
    if name == "count":
        if field is not None:
            raise UnsupportedDashboardError("count has no field: omit it, or use unique_count")
        return {}, {"of": "doc_count"}, ""
    if name not in _AGGREGATIONS:
        raise UnsupportedDashboardError(
            f"metric {name!r} cannot be translated, only count, {', '.join(_AGGREGATIONS)} can"
        )
    if field is None:
        raise UnsupportedDashboardError(f"{name} needs a field")
    match name:
        case "unique_count":
            schema.require(field, ("keyword", *NUMBERS, "boolean", "date"), name)
            return {"cardinality": {"field": field}}, {"of": "value"}, name
        case "median" | "percentile":
            schema.require(field, NUMBERS, name)
            return {"percentiles": {"field": field, "percents": [rank]}}, {"of": "percentile"}, ""
        case "last_value":
            schema.require(field, (*NUMBERS, "boolean"), name)
            newest = {"size": 1, "sort": [{schema.time_field: "desc"}], "_source": [field]}
            return {"top_hits": newest}, {"of": "last", "field": field}, ""
        case _:
            schema.require(field, NUMBERS, name)
            return {_AGGREGATIONS[name]: {"field": field}}, {"of": "value"}, name


def _formula(key: str, text: str, schema: IndexSchema) -> Metric:
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise UnsupportedDashboardError(f"formula {text!r} cannot be read") from error
    aggs: dict[str, Any] = {}

    def call(node: ast.Call) -> dict[str, Any]:
        name = node.func.id if isinstance(node.func, ast.Name) else "?"
        options = {option.arg: option.value for option in node.keywords}
        if len(node.args) > 1 or set(options) - {"kql"}:
            raise UnsupportedDashboardError(f"{name} in a formula takes a field and kql='...' only")
        field = _name(node.args[0]) if node.args else None
        query = options.get("kql")
        if query is not None and not (isinstance(query, ast.Constant) and isinstance(query.value, str)):
            raise UnsupportedDashboardError("kql in a formula is a text")
        filtered = {"kql": query.value} if isinstance(query, ast.Constant) else None
        leaf = _leaf(f"{key}_{len(aggs)}", name, field, filtered, schema)
        aggs.update(leaf.aggs)
        return leaf.value

    return Metric(aggs, _expression(tree, call), "")


def _expression(node: ast.expr, call: Callable[[ast.Call], dict[str, Any]]) -> dict[str, Any]:
    match node:
        case ast.Constant(value=bool() | str()):
            raise UnsupportedDashboardError("a formula must compute with numbers")
        case ast.Constant(value=int() | float() as number):
            return {"number": number}
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return {"number": operator.neg(number)}
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return {"op": _OPERATORS[type(op)], "left": _expression(left, call), "right": _expression(right, call)}
        case ast.Call():
            return call(node)
    raise UnsupportedDashboardError(f"{ast.unparse(node)!r} in a formula cannot be translated")


def _name(node: ast.expr) -> str:
    if not isinstance(node, ast.Name):
        raise UnsupportedDashboardError(f"{ast.unparse(node)!r} in a formula is not a field")
    return node.id
