"""Parse the query parameters of the Live page."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlencode

from include.contracts.errors import TerminalError
from include.dashboards.model import Filters

CUSTOM = "custom"
FILTER_NAMES = ("category", "device", "referrer")
MAX_VALUE_LENGTH = 300
MAX_SPAN = timedelta(days=400)
MINUTE = timedelta(minutes=1)
VALID_YEARS = range(1980, 2200)


class Span(NamedTuple):
    """A time range that ends now, and the interval at which its panels are refreshed."""

    length: timedelta
    refresh_s: float


SPANS: Mapping[str, Span] = MappingProxyType(
    {
        "hour": Span(timedelta(hours=1), 5.0),
        "day": Span(timedelta(days=1), 15.0),
        "week": Span(timedelta(weeks=1), 60.0),
        "14d": Span(timedelta(weeks=2), 60.0),
    }
)
CUSTOM_REFRESH_S = 60.0


@dataclass(frozen=True, kw_only=True)
class DashboardQuery:
    """A dashboard, a time range and filter values. Equal queries share one cached response."""

    dashboard: str = ""
    span: str = "hour"
    since: datetime | None = None
    until: datetime | None = None
    category: str = ""
    device: str = ""
    referrer: str = ""

    @property
    def refresh_s(self) -> float:
        """Seconds after which the panels are refreshed."""
        return SPANS[self.span].refresh_s if self.span in SPANS else CUSTOM_REFRESH_S

    @property
    def active_filters(self) -> dict[str, str]:
        """Filters that have a value, by name."""
        return {name: value for name in FILTER_NAMES if (value := getattr(self, name))}

    def to_filters(self, now: datetime) -> Filters:
        """Return the filters at the time `now`; a span ends with the current minute."""
        if self.since is not None and self.until is not None:
            return Filters(since=self.since, until=self.until, **self.active_filters)
        until = now.astimezone(UTC).replace(second=0, microsecond=0) + MINUTE
        return Filters(since=until - SPANS[self.span].length, until=until, **self.active_filters)

    def url(self, **changes: str) -> str:
        """Return the page's relative URL for this query, with `changes` applied."""
        query = replace(self, **changes)  # type: ignore[arg-type]
        times = {name: time.strftime("%Y-%m-%dT%H:%M") for name in ("since", "until") if (time := getattr(query, name))}
        return "live?" + urlencode({"dashboard": query.dashboard, "span": query.span, **times, **query.active_filters})


def parse_query(params: Mapping[str, str], default_dashboard: str = "") -> DashboardQuery:
    """Parse query parameters. Raises TerminalError for invalid ones."""
    values = {name: params.get(name, "") for name in FILTER_NAMES}
    too_long = [name for name, value in values.items() if len(value) > MAX_VALUE_LENGTH]
    if too_long:
        raise TerminalError(f"{too_long[0]} is too long", f"at most {MAX_VALUE_LENGTH} characters")
    times = {name: _parse_time(name, params[name]) for name in ("since", "until") if params.get(name)}
    span = params.get("span") or (CUSTOM if times else "hour")
    if span != CUSTOM and span not in SPANS:
        raise TerminalError(f"there is no span {span!r}", f"choose one of {', '.join(SPANS)}, {CUSTOM}")
    if span != CUSTOM:
        times = {}
    else:
        _require_valid_range(times)
    return DashboardQuery(
        dashboard=params.get("dashboard") or default_dashboard,
        span=span,
        since=times.get("since"),
        until=times.get("until"),
        category=values["category"],
        device=values["device"],
        referrer=values["referrer"],
    )


def previous_period(filters: Filters) -> Filters:
    """Return the same filters for the period of the same length before."""
    length = filters.until - filters.since
    return Filters(
        since=filters.since - length,
        until=filters.since,
        category=filters.category,
        device=filters.device,
        referrer=filters.referrer,
    )


def _require_valid_range(times: Mapping[str, datetime]) -> None:
    missing = [name for name in ("since", "until") if name not in times]
    if missing:
        raise TerminalError(f"{missing[0]} is missing", "a custom time range needs since and until")
    length = times["until"] - times["since"]
    if not timedelta(0) < length <= MAX_SPAN:
        raise TerminalError(
            "since and until are not a valid range", f"until must be after since, by at most {MAX_SPAN.days} days"
        )


def _parse_time(name: str, text: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(text)
        time = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        time = None
    if time is None or time.year not in VALID_YEARS:
        raise TerminalError(f"{name} is not a time: {text[:40]!r}", "write it as 2026-11-23T08:00, in UTC")
    return time
