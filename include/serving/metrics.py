"""Metrics of a dashboard's YAML as aggregations: plain ones, filtered ones, and formulas over them."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from include.serving.fields import Fields, Refused

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
    """Aggregations to ask for, where the value then lies, and the path by which buckets can be sorted, if any."""

    aggs: dict[str, Any]
    value: dict[str, Any]
    order: str


def metric(key: str, asked: Mapping[str, Any], fields: Fields) -> Metric:
    """A metric of the YAML under an aggregation name. Raises Refused."""
    if "formula" in asked:
        if "filter" in asked:
            raise Refused("a formula takes its filter inside: count(kql='...')")
        return _formula(key, str(asked["formula"]), fields)
    if "value" in asked:
        raise Refused("a fixed value is no question")
    rank = asked.get("percentile", _MEDIAN)
    return _leaf(key, str(asked.get("aggregation", "count")), asked.get("field"), asked.get("filter"), fields, rank)


def _leaf(key: str, name: str, field: str | None, filtered: Any, fields: Fields, rank: float = _MEDIAN) -> Metric:
    inner, where, order = _plain(name, field, fields, rank)
    path = []
    if inner:
        inner = {key: inner}
        path = [key]
        order = key if order else ""
    if filtered is not None:
        aggs: dict[str, Any] = {"filter": fields.query(filtered)}
        if path:
            aggs["aggs"] = {"v": inner[key]}
            path, order = [key, "v"], f"{key}>v" if order else ""
        else:
            path, order = [key], key
        inner = {key: aggs}
    return Metric(inner, {"path": path, **where}, order or ("_count" if not inner else ""))


def _plain(name: str, field: str | None, fields: Fields, rank: float) -> tuple[dict[str, Any], dict[str, Any], str]:
    if name == "count":
        if field is not None:
            raise Refused("count takes no field: count the documents, or take unique_count")
        return {}, {"of": "doc_count"}, ""
    if name not in _AGGREGATIONS:
        raise Refused(f"metric {name!r} cannot be translated, only count, {', '.join(_AGGREGATIONS)} can")
    if field is None:
        raise Refused(f"{name} needs a field")
    match name:
        case "unique_count":
            fields.require(field, ("keyword", *NUMBERS, "boolean", "date"), name)
            return {"cardinality": {"field": field}}, {"of": "value"}, name
        case "median" | "percentile":
            fields.require(field, NUMBERS, name)
            return {"percentiles": {"field": field, "percents": [rank]}}, {"of": "percentile"}, ""
        case "last_value":
            fields.require(field, (*NUMBERS, "boolean"), name)
            newest = {"size": 1, "sort": [{fields.time: "desc"}], "_source": [field]}
            return {"top_hits": newest}, {"of": "last", "field": field}, ""
        case _:
            fields.require(field, NUMBERS, name)
            return {_AGGREGATIONS[name]: {"field": field}}, {"of": "value"}, name


def _formula(key: str, text: str, fields: Fields) -> Metric:
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise Refused(f"formula {text!r} cannot be read") from error
    aggs: dict[str, Any] = {}

    def call(node: ast.Call) -> dict[str, Any]:
        name = node.func.id if isinstance(node.func, ast.Name) else "?"
        options = {option.arg: option.value for option in node.keywords}
        if len(node.args) > 1 or set(options) - {"kql"}:
            raise Refused(f"{name} in a formula takes a field and kql='...' only")
        field = _name(node.args[0]) if node.args else None
        query = options.get("kql")
        if query is not None and not (isinstance(query, ast.Constant) and isinstance(query.value, str)):
            raise Refused("kql in a formula is a text")
        filtered = {"kql": query.value} if isinstance(query, ast.Constant) else None
        leaf = _leaf(f"{key}_{len(aggs)}", name, field, filtered, fields)
        aggs.update(leaf.aggs)
        return leaf.value

    return Metric(aggs, _expression(tree, call), "")


def _expression(node: ast.expr, call: Callable[[ast.Call], dict[str, Any]]) -> dict[str, Any]:
    match node:
        case ast.Constant(value=bool() | str()):
            raise Refused("a formula computes with numbers")
        case ast.Constant(value=int() | float() as number):
            return {"number": number}
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return {"number": operator.neg(number)}
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return {"op": _OPERATORS[type(op)], "left": _expression(left, call), "right": _expression(right, call)}
        case ast.Call():
            return call(node)
    raise Refused(f"{ast.unparse(node)!r} in a formula cannot be translated")


def _name(node: ast.expr) -> str:
    if not isinstance(node, ast.Name):
        raise Refused(f"{ast.unparse(node)!r} in a formula is no field")
    return node.id
