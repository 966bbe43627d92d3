"""Convert responses of Elasticsearch to table rows. Pure functions."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Columns = Sequence[tuple[str, str, str, dict[str, Any] | None]]
"""Of each column: key, role, type, and for a metric the path or formula of its value."""

MS_PER_S = 1_000


def rows(response: Mapping[str, Any], body: Mapping[str, Any], columns: Columns) -> list[list[Any]]:
    """Return the rows of the response to `body`: dimensions, then metrics; or the fields of each hit."""
    if any(role == "field" for _, role, _, _ in columns):
        names = [key for key, _, _, _ in columns]
        return [[hit["_source"].get(name) for name in names] for hit in response["hits"]["hits"]]
    dimensions = [(key, kind) for key, role, kind, _ in columns if role == "dimension"]
    metrics = [value for _, role, _, value in columns if role == "metric" and value is not None]
    if dimensions and "aggregations" not in response:
        return []
    total = response["hits"].get("total", {}).get("value", 0)
    root = {"doc_count": total, **response.get("aggregations", {})}
    return list(_rows(root, body, dimensions, metrics))


def value(bucket: Mapping[str, Any], source: Mapping[str, Any]) -> float | None:
    """Return a metric of one bucket; None if it has no value, as the mean of no documents."""
    if "number" in source:
        return float(source["number"])
    if "op" in source:
        return _compute(source["op"], value(bucket, source["left"]), value(bucket, source["right"]))
    result: Any = bucket
    for name in source["path"]:
        result = result.get(name, {})
    match source["of"]:
        case "percentile":
            number = next(iter(result.get("values", {}).values()), None)
        case "last":
            hits = result.get("hits", {}).get("hits", [])
            number = hits[0]["_source"].get(source["field"]) if hits else None
        case member:
            number = result.get(member)
    return None if number is None else float(number)


def _compute(op: str, left: float | None, right: float | None) -> float | None:
    if left is None or right is None:
        return None
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case _:
            return left / right if right else None


def _rows(
    bucket: Mapping[str, Any], request: Mapping[str, Any], dimensions: Sequence[tuple[str, str]], metrics: Sequence[Any]
) -> Iterator[list[Any]]:
    if not dimensions:
        yield [value(bucket, source) for source in metrics]
        return
    (key, kind), *inner = dimensions
    aggregation = request["aggs"][key]
    for name, child in _buckets(bucket.get(key, {}), aggregation):
        for row in _rows(child, aggregation, inner, metrics):
            yield [_dimension_value(name, kind), *row]


def _buckets(result: Mapping[str, Any], aggregation: Mapping[str, Any]) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    buckets = result.get("buckets", [])
    if isinstance(buckets, Mapping):
        # Because Elasticsearch sorts named filters, restore the order of the panel.
        yield from ((name, buckets[name]) for name in aggregation["filters"]["filters"])
        return
    for bucket in buckets:
        yield bucket["key"], bucket


def _dimension_value(name: Any, kind: str) -> Any:
    match kind:
        case "time":
            return datetime.fromtimestamp(name / MS_PER_S, UTC).isoformat()
        case "boolean":
            return bool(name)
        case _:
            return name
