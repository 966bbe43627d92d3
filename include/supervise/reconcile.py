"""The stage equation of one hour: what came in equals what was refused, indexed and archived.

An hour holds the records that reached `sessions.raw` in it, by the broker's time.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from include.contracts.errors import TerminalError
from include.contracts.settings import Settings
from include.contracts.topics import RAW, TOPICS
from include.supervise.hours import Hours

HOUR = timedelta(hours=1)

Owner = Literal["gate", "stream", "archive"]


@dataclass(frozen=True, kw_only=True)
class HourCounts:
    """Records of one hour. `rejected` by reason; `dead`: sessions Elasticsearch refused.

    `valid`: distinct sessions in `sessions.valid`, None while nobody had to look. `undecided`: raw records the
    gate has not decided yet; `stream_lag`, `archive_lag`: valid records those stages have not passed, of any hour.
    """

    hour: datetime
    raw: int
    rejected: dict[str, int]
    undecided: int
    in_elasticsearch: int
    dead: int
    stream_lag: int
    in_mongodb: int | None = None
    archive_lag: int = 0
    valid: int | None = None

    @property
    def admitted(self) -> int:
        """Sessions the gate must have admitted, by what it read and refused."""
        return self.raw - self.undecided - sum(self.rejected.values())


@dataclass(frozen=True)
class Line:
    """One stage of the equation. `in_flight`: how much of a shortfall the stage may still bring."""

    stage: Owner
    what: str
    expected: int
    found: int
    in_flight: int = 0

    @property
    def difference(self) -> int:
        """Found less expected."""
        return self.found - self.expected

    @property
    def wrong(self) -> bool:
        """Whether it differs by more than what is in flight."""
        return self.difference > 0 or -self.difference > self.in_flight


@dataclass(frozen=True)
class Reconciliation:
    """The equation of one hour. `owner` is the first stage with a difference; `pending`: something is in flight."""

    hour: datetime
    lines: tuple[Line, ...]
    balanced: bool
    owner: Owner | None
    pending: bool


def balance(counts: HourCounts) -> Reconciliation:
    """The equation. Where the valid sessions were counted, a difference of the gate is told from those after it."""
    admitted = counts.admitted if counts.valid is None else counts.valid
    lines = [] if counts.valid is None else [Line("gate", "admitted", counts.admitted, counts.valid)]
    indexed = counts.in_elasticsearch + counts.dead
    lines.append(Line("stream", "indexed or refused by Elasticsearch", admitted, indexed, counts.stream_lag))
    if counts.in_mongodb is not None:
        lines.append(Line("archive", "in MongoDB", admitted, counts.in_mongodb, counts.archive_lag))
    wrong = [line for line in lines if line.wrong]
    return Reconciliation(
        hour=counts.hour,
        lines=tuple(lines),
        balanced=not wrong,
        owner=wrong[0].stage if wrong else None,
        pending=counts.undecided > 0 or any(line.difference and not line.wrong for line in lines),
    )


def count_hour(
    settings: Settings,
    hour: datetime,
    valid_in_elasticsearch: int,
    valid_in_mongodb: int | None = None,
    archive_lag: int = 0,
) -> HourCounts:
    """The counts of the hour that begins at `hour` (UTC). Reads `sessions.valid` only when the rest differs.

    Raises TransientError while Kafka is away, TerminalError for an hour that is not over or whose records expired.
    """
    start = hour.astimezone(UTC)
    _require_kept(start)
    with Hours(settings, start, start + HOUR) as hours:
        counts = HourCounts(
            hour=start,
            raw=hours.raw(),
            rejected=hours.rejected(),
            undecided=hours.undecided(),
            in_elasticsearch=valid_in_elasticsearch,
            dead=hours.dead(),
            stream_lag=hours.stream_lag(),
            in_mongodb=valid_in_mongodb,
            archive_lag=archive_lag,
        )
        return counts if balance(counts).balanced else replace(counts, valid=hours.valid())


def _require_kept(start: datetime) -> None:
    now = datetime.now(UTC)
    kept = next(topic.retention_days for topic in TOPICS if topic.name == RAW)
    if start + HOUR > now:
        raise TerminalError(f"the hour of {start:%Y-%m-%dT%H:%MZ} is not over", "ask again when it is")
    if start < now - timedelta(days=kept):
        raise TerminalError(f"raw records of {start:%Y-%m-%dT%H:%MZ} have expired", f"at most {kept} days back")
