"""Format numbers, times and names as text; a missing value is a dash."""

from datetime import UTC, datetime
from typing import Any

from include.dashboards.model import Column

MISSING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
DECIMAL_BELOW_S = 10
MINUTE_S = 60
HOUR_S = 3_600
DAY_S = 86_400
DURATION_UNITS = ((DAY_S, "d", HOUR_S, "h"), (HOUR_S, "h", MINUTE_S, "min"), (MINUTE_S, "min", 1, "s"))
MILLION = 1_000_000
MAX_UNCHANGED_RATIO = 0.005
MIN_FACTOR_RATIO = 9.995
MAX_RATIO = 99.0
MAX_CELL_LENGTH = 300
MAX_LABEL_LENGTH = 28
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NAME_FIELDS = frozenset(
    {"category", "categories", "referrer", "device_type", "last_action", "payment", "part_of_day", "label"}
)
"""Fields whose values are names with underscores."""


def format_count(value: float | None) -> str:
    """Format a count: 12,345."""
    return MISSING if value is None else f"{value:,.0f}"


def format_money(value: float | None) -> str:
    """Format an amount in shop currency: 12,345, and 1.23 M from a million on."""
    if value is None:
        return MISSING
    return f"{value / MILLION:,.2f} M" if abs(value) >= MILLION else f"{value:,.0f}"


def format_percent(value: float | None) -> str:
    """Format a ratio: 4.2 %."""
    return MISSING if value is None else f"{value * 100:.1f} %"


def format_change(value: float, previous: float) -> str:
    """Format the change against a previous value: +12 %, or 14 times; empty if `previous` is 0 or too small."""
    if not previous:
        return ""
    ratio = value / previous - 1
    if ratio >= MAX_RATIO:
        return ""
    if ratio >= MIN_FACTOR_RATIO:
        return f"{TIMES}{ratio + 1:,.0f}"
    return "±0 %" if abs(ratio) < MAX_UNCHANGED_RATIO else f"{ratio * 100:+,.0f} %".replace("-", MINUS)


def format_duration(seconds: float | None) -> str:
    """Format a duration in its two largest units: 3 min 34 s."""
    if seconds is None:
        return MISSING
    rest = round(seconds)
    if rest < 0:
        return f"{MINUS}{format_duration(-seconds)}"
    if rest < MINUTE_S:
        return f"{seconds:.1f} s" if 0 < seconds < DECIMAL_BELOW_S else f"{rest} s"
    size, name, smaller, smaller_name = next(unit for unit in DURATION_UNITS if rest >= unit[0])
    remainder = rest % size // smaller
    return f"{rest // size} {name} {remainder} {smaller_name}" if remainder else f"{rest // size} {name}"


def format_clock(time: datetime) -> str:
    """Format the time of day in UTC: 15:04:05."""
    return f"{time.astimezone(UTC):%H:%M:%S}"


def format_time(time: datetime) -> str:
    """Format day and time in UTC: 23 Nov 15:04."""
    return f"{time.astimezone(UTC):%d %b %H:%M}"


def format_name(name: str) -> str:
    """Replace the underscores of a name: living room."""
    return name.replace("_", " ")


def format_value(value: Any, column: Column, field: str = "") -> str:
    """Format one value of a table.

    Args:
        value: The value, None if there is none.
        column: The column, which sets type, format and decimals.
        field: The document field of the column; empty if it shows none.
    """
    if value is None or value == []:
        return MISSING
    if column.role == "metric" or column.type == "number":
        return _format_day(value) if field == "day_of_week" else _format_number(value, column)
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return truncate(", ".join(_format_word(part, field) for part in value))
    if column.type == "time":
        time = datetime.fromisoformat(str(value))
        return format_time(time) if column.role == "dimension" else f"{time:%d %b} {format_clock(time)}"
    return truncate(_format_word(value, field))


def truncate(text: str, max_length: int = MAX_CELL_LENGTH) -> str:
    """Return the text; of a long one the beginning and the number of characters."""
    return text if len(text) <= max_length else f"{text[:max_length]}… ({len(text):,} characters)"


def shorten_label(text: str) -> str:
    """Return a label short enough for a chart."""
    return text if len(text) <= MAX_LABEL_LENGTH else f"{text[: MAX_LABEL_LENGTH - 1]}…"


def _format_number(value: Any, column: Column) -> str:
    decimals = column.decimals
    match column.format:
        case "duration":
            return format_duration(float(value))
        case "percent":
            return f"{float(value) * 100:,.{1 if decimals is None else decimals}f} %"
        case "money" if decimals is None:
            return format_money(float(value))
    if decimals is None:
        decimals = 0 if float(value).is_integer() else 2
    return f"{float(value):,.{decimals}f}{column.suffix}".replace("-", MINUS)


def _format_word(value: Any, field: str) -> str:
    return format_name(str(value)) if field in NAME_FIELDS else str(value)


def _format_day(value: Any) -> str:
    number = int(value)
    return DAYS[number - 1] if 1 <= number <= len(DAYS) else str(value)
