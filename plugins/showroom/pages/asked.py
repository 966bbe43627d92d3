"""What a viewer of the Live page asks to see, read out of the page's address."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlencode

from include.contracts.errors import TerminalError
from include.serving.panels import Narrow

CUSTOM = "custom"
FILTERS = ("category", "device", "referrer")
LONGEST_VALUE = 300
LONGEST = timedelta(days=400)
MINUTE = timedelta(minutes=1)
YEARS = range(1980, 2200)


class Span(NamedTuple):
    """How far back to look, and after how many seconds a figure is asked for again."""

    length: timedelta
    refresh_s: float


SPANS: Mapping[str, Span] = MappingProxyType(
    {
        "hour": Span(timedelta(hours=1), 5.0),
        "day": Span(timedelta(days=1), 15.0),
        "week": Span(timedelta(weeks=1), 60.0),
        "fortnight": Span(timedelta(weeks=2), 60.0),
    }
)
CUSTOM_REFRESH_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A board, a time and what it is narrowed by. Equal ones share an answer, however many ask."""

    board: str = ""
    span: str = "hour"
    since: datetime | None = None
    until: datetime | None = None
    category: str = ""
    device: str = ""
    referrer: str = ""

    @property
    def refresh_s(self) -> float:
        """Seconds after which figures are asked for again."""
        return SPANS[self.span].refresh_s if self.span in SPANS else CUSTOM_REFRESH_S

    @property
    def filters(self) -> dict[str, str]:
        """What it is narrowed by."""
        return {name: value for name in FILTERS if (value := getattr(self, name))}

    def narrow(self, now: datetime) -> Narrow:
        """The times and values meant at `now`; a span ends with the running minute."""
        if self.since is not None and self.until is not None:
            return Narrow(since=self.since, until=self.until, **self.filters)
        until = now.astimezone(UTC).replace(second=0, microsecond=0) + MINUTE
        return Narrow(since=until - SPANS[self.span].length, until=until, **self.filters)

    def address(self, **changes: str) -> str:
        """The page's address for this, or for this with changes."""
        other = replace(self, **changes)  # type: ignore[arg-type]
        times = {name: at.strftime("%Y-%m-%dT%H:%M") for name in ("since", "until") if (at := getattr(other, name))}
        return "live?" + urlencode({"board": other.board, "span": other.span, **times, **other.filters})


def read(given: Mapping[str, str], board: str = "") -> Asked:
    """What an address asks for; `board` where it names none. Raises TerminalError for what makes no sense."""
    values = {name: given.get(name, "") for name in FILTERS}
    long = [name for name, value in values.items() if len(value) > LONGEST_VALUE]
    if long:
        raise TerminalError(f"{long[0]} is too long", f"at most {LONGEST_VALUE} characters")
    moments = {name: _moment(name, given[name]) for name in ("since", "until") if given.get(name)}
    span = given.get("span") or (CUSTOM if moments else "hour")
    if span != CUSTOM and span not in SPANS:
        raise TerminalError(f"there is no span {span!r}", f"choose one of {', '.join(SPANS)}, {CUSTOM}")
    board = given.get("board") or board
    if span != CUSTOM:
        moments = {}
    else:
        _check(moments)
    return Asked(
        board=board,
        span=span,
        since=moments.get("since"),
        until=moments.get("until"),
        category=values["category"],
        device=values["device"],
        referrer=values["referrer"],
    )


def before(narrow: Narrow) -> Narrow:
    """The time of the same length before, narrowed by the same."""
    length = narrow.until - narrow.since
    return Narrow(
        since=narrow.since - length,
        until=narrow.since,
        category=narrow.category,
        device=narrow.device,
        referrer=narrow.referrer,
    )


def _check(moments: Mapping[str, datetime]) -> None:
    missing = [name for name in ("since", "until") if name not in moments]
    if missing:
        raise TerminalError(f"{missing[0]} is missing", "a time of one's own needs since and until")
    length = moments["until"] - moments["since"]
    if not timedelta(0) < length <= LONGEST:
        raise TerminalError("since and until make no span", f"until must follow since, by {LONGEST.days} days at most")


def _moment(name: str, text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        if at.year not in YEARS:
            raise ValueError(text)
    except (ValueError, OverflowError):
        raise TerminalError(f"{name} is no time: {text[:40]!r}", "write it as 2026-11-23T08:00, in UTC") from None
    return at
