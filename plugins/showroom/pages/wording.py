"""Figures as people read them; an unknown one is a dash."""

from datetime import UTC, datetime

UNKNOWN = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
SHORT_S = 10
MINUTE_S = 60
HOUR_S = 3_600
DAY_S = 86_400
UNITS = ((DAY_S, "d", HOUR_S, "h"), (HOUR_S, "h", MINUTE_S, "min"), (MINUTE_S, "min", 1, "s"))
MILLION = 1_000_000
TINY = 0.005
MANY = 9.995
TOO_MANY = 99.0


def whole(value: float | None) -> str:
    """A count: 12,345."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def money(value: float | None) -> str:
    """An amount in shop currency: 12,345, and 1.23 M from a million on."""
    if value is None:
        return UNKNOWN
    return f"{value / MILLION:,.2f} M" if abs(value) >= MILLION else f"{value:,.0f}"


def share(value: float | None) -> str:
    """A part of one: 4.2 %."""
    return UNKNOWN if value is None else f"{value * 100:.1f} %"


def change(now: float, before: float) -> str:
    """How much more or less than before: +12 %, or 14 times; empty where there is (next to) nothing to compare with."""
    if not before:
        return ""
    ratio = now / before - 1
    if ratio >= TOO_MANY:
        return ""
    if ratio >= MANY:
        return f"{TIMES}{ratio + 1:,.0f}"
    return "±0 %" if abs(ratio) < TINY else f"{ratio * 100:+,.0f} %".replace("-", MINUS)


def span(seconds: float | None) -> str:
    """A length of time in its two largest units: 3 min 34 s."""
    if seconds is None:
        return UNKNOWN
    rest = round(seconds)
    if rest < 0:
        return f"{MINUS}{span(-seconds)}"
    if rest < MINUTE_S:
        return f"{seconds:.1f} s" if 0 < seconds < SHORT_S else f"{rest} s"
    size, name, smaller, its_name = next(unit for unit in UNITS if rest >= unit[0])
    remainder = rest % size // smaller
    return f"{rest // size} {name} {remainder} {its_name}" if remainder else f"{rest // size} {name}"


def clock(at: datetime) -> str:
    """A time of day, UTC: 15:04:05."""
    return f"{at.astimezone(UTC):%H:%M:%S}"


def moment(at: datetime) -> str:
    """A day and time, UTC: 23 Nov 15:04."""
    return f"{at.astimezone(UTC):%d %b %H:%M}"


def label(name: str) -> str:
    """A name of the platform's own vocabulary as words: living room."""
    return name.replace("_", " ")
