"""Answers of Elasticsearch as plain rows. Pure: what was asked, what came back, what the columns are."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Columns = Sequence[tuple[str, str, str, dict[str, Any] | None]]
"""Of each column: key, role, type, and of a metric where its value lies."""

MS = 1_000


def rows(answer: Mapping[str, Any], body: Mapping[str, Any], columns: Columns) -> list[list[Any]]:
    """The rows of an answer to `body`: dimensions, then metrics; or the fields of each hit."""
    if any(role == "field" for _, role, _, _ in columns):
        names = [key for key, _, _, _ in columns]
        return [[hit["_source"].get(name) for name in names] for hit in answer["hits"]["hits"]]
    dimensions = [(key, kind) for key, role, kind, _ in columns if role == "dimension"]
    values = [value for _, role, _, value in columns if role == "metric" and value is not None]
    if dimensions and "aggregations" not in answer:
        return []
    total = answer["hits"].get("total", {}).get("value", 0)
    root = {"doc_count": total, **answer.get("aggregations", {})}
    return list(_rows(root, body, dimensions, values))


def value(found: Mapping[str, Any], where: Mapping[str, Any]) -> float | None:
    """A metric of one bucket; None where it has none, as the mean of nothing."""
    if "number" in where:
        return float(where["number"])
    if "op" in where:
        return _computed(where["op"], value(found, where["left"]), value(found, where["right"]))
    place: Any = found
    for name in where["path"]:
        place = place.get(name, {})
    match where["of"]:
        case "percentile":
            number = next(iter(place.get("values", {}).values()), None)
        case "last":
            hits = place.get("hits", {}).get("hits", [])
            number = hits[0]["_source"].get(where["field"]) if hits else None
        case of:
            number = place.get(of)
    return None if number is None else float(number)


def _computed(op: str, left: float | None, right: float | None) -> float | None:
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
    found: Mapping[str, Any], asked: Mapping[str, Any], dimensions: Sequence[tuple[str, str]], values: Sequence[Any]
) -> Iterator[list[Any]]:
    if not dimensions:
        yield [value(found, where) for where in values]
        return
    (key, kind), *inner = dimensions
    part = asked["aggs"][key]
    for name, bucket in _buckets(found.get(key, {}), part):
        for rest in _rows(bucket, part, inner, values):
            yield [_shown(name, kind), *rest]


def _buckets(found: Mapping[str, Any], part: Mapping[str, Any]) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    buckets = found.get("buckets", [])
    if isinstance(buckets, Mapping):
        # Elasticsearch sorts named filters; the panel has an order of its own.
        yield from ((name, buckets[name]) for name in part["filters"]["filters"])
        return
    for bucket in buckets:
        yield bucket["key"], bucket


def _shown(name: Any, kind: str) -> Any:
    match kind:
        case "time":
            return datetime.fromtimestamp(name / MS, UTC).isoformat()
        case "boolean":
            return bool(name)
        case _:
            return name
