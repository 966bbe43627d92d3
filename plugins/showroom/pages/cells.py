"""Values of a panel's table as people read them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from include.serving.panels import Column, Panel
from showroom.pages import wording

LONGEST_CELL = 300
LONGEST_LABEL = 28
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
VOCABULARY = frozenset(
    {"category", "categories", "referrer", "device_type", "last_action", "payment", "part_of_day", "label"}
)
"""Fields whose values are names of the platform's own, written with underscores."""


def text(value: Any, column: Column, field: str = "") -> str:
    """One value, as its column says; `field` is where it comes from."""
    if value is None or value == []:
        return wording.UNKNOWN
    if column.role == "metric" or column.type == "number":
        return _day(value) if field == "day_of_week" else _number(value, column)
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return cut(", ".join(_word(part, field) for part in value))
    if column.type == "time":
        return _time(str(value), column)
    return cut(_word(value, field))


def cut(words: str, longest: int = LONGEST_CELL) -> str:
    """A long text's beginning, and how long it is."""
    return words if len(words) <= longest else f"{words[:longest]}… ({len(words):,} characters)"


def short(words: str) -> str:
    """A label that fits beside a chart."""
    return words if len(words) <= LONGEST_LABEL else f"{words[: LONGEST_LABEL - 1]}…"


def fields(panel: Panel) -> dict[str, str]:
    """The document field of each of a panel's columns that shows one."""
    found = {column.key: column.key for column in panel.columns if column.role == "field"}
    return found | dict(_terms(panel.body.get("aggs", {})))


def aggregation(panel: Panel, key: str, aggs: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The aggregation behind a dimension; empty for none."""
    parts = panel.body.get("aggs", {}) if aggs is None else aggs
    for name, part in parts.items():
        if name == key:
            return dict(part)
        inner = aggregation(panel, key, part.get("aggs", {}))
        if inner:
            return inner
    return {}


def _terms(aggs: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [(key, str(part["terms"]["field"])) for key, part in aggs.items() if "field" in part.get("terms", {})]
    return found + [pair for part in aggs.values() for pair in _terms(part.get("aggs", {}))]


def _number(value: Any, column: Column) -> str:
    decimals = column.decimals
    match column.format:
        case "duration":
            return wording.span(float(value))
        case "percent":
            return f"{float(value) * 100:,.{1 if decimals is None else decimals}f} %"
        case "money" if decimals is None:
            return wording.money(float(value))
    if decimals is None:
        decimals = 0 if float(value).is_integer() else 2
    return f"{float(value):,.{decimals}f}{column.suffix}".replace("-", wording.MINUS)


def _time(value: str, column: Column) -> str:
    at = datetime.fromisoformat(value)
    return wording.moment(at) if column.role == "dimension" else f"{at:%d %b} {wording.clock(at)}"


def _word(value: Any, field: str) -> str:
    return wording.label(str(value)) if field in VOCABULARY else str(value)


def _day(value: Any) -> str:
    number = int(value)
    return DAYS[number - 1] if 1 <= number <= len(DAYS) else str(value)
