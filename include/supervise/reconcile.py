"""The stage equation of one hour, pure: raw = rejected + admitted, and admitted = indexed or dead letter = archived.

An hour holds the records that reached `sessions.raw` in it, by the broker's time. A stage is only judged once it has
passed the last valid record of the hour, which is an offset in `sessions.valid`; until then the hour is pending.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import msgspec

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ADMITTED = "admitted"
IN_MONGODB = "in MongoDB"
KPI_INDEX = "kpi_minute"
BY_SESSION = ("session_summary", "product_details", "product_sentiment")
"""Indices whose documents carry the time of arrival, so that they are compared by hour."""

Owner = Literal["gate", "stream", "archive"]
State = Literal["balanced", "pending", "difference", "unverifiable"]


class Rows(msgspec.Struct, kw_only=True):
    """Documents that sessions make, by index."""

    session_summary: int = 0
    product_details: int = 0
    product_sentiment: int = 0

    def add(self, other: "Rows") -> None:
        """Add the counts of `other`."""
        self.session_summary += other.session_summary
        self.product_details += other.product_details
        self.product_sentiment += other.product_sentiment

    def of(self, index: str) -> int:
        """The count of one index."""
        return int(getattr(self, index))


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What Kafka holds of an hour, all of it decided by the gate.

    `raw`: records, without markers and aborted ones. `months`: event month `YYYY-MM` -> documents expected of the
    admitted sessions; `partitions`: the same by partition of `sessions.valid`, empty in evidence of earlier versions.
    `bounds`: partition -> offset behind the last record of the hour; a partition without one is left out.
    `repeated`: decisions on raw records that had one already.
    """

    raw: int
    rejected: dict[str, int]
    months: dict[str, Rows]
    bounds: dict[str, int]
    partitions: dict[str, Rows] = {}
    repeated: int = 0

    @property
    def valid(self) -> int:
        """Admitted records."""
        return sum(rows.session_summary for rows in self.months.values())

    def expected(self, index: str, oldest_month: str) -> int:
        """Documents of an index whose month retention keeps."""
        return sum(rows.of(index) for month, rows in self.months.items() if month >= oldest_month)

    def reachable(self, ends: Mapping[int, int]) -> "Evidence":
        """This evidence with bounds that a reader can pass: a topic that was created anew ends below the old ones.

        Args:
            ends: partition -> the present end offset of `sessions.valid`.
        """
        bounds = {name: min(bound, ends.get(int(name), bound)) for name, bound in self.bounds.items()}
        return msgspec.structs.replace(self, bounds=bounds)

    def waiting(self, passed: Mapping[int, int]) -> int:
        """Offsets of the hour that a reader has not passed: an upper bound of the sessions in flight."""
        return sum(self._waiting(passed).values())

    def in_flight(self, store: str, passed: Mapping[int, int]) -> int:
        """Documents of the hour that may still reach a store, at most.

        Counted by partition: many offsets that wait in one cannot explain a document that another one lacks.
        """
        waiting = {partition: offsets for partition, offsets in self._waiting(passed).items() if offsets}
        index = "session_summary" if store == IN_MONGODB else store
        rows = self.partitions or dict.fromkeys(waiting, _sum(self.months.values()))
        # A session has several rows in some indices, so that an offset may be more than one row.
        is_row_a_session = index == "session_summary"
        return sum(
            min(offsets, rows[partition].of(index)) if is_row_a_session else rows[partition].of(index)
            for partition, offsets in waiting.items()
        )

    def _waiting(self, passed: Mapping[int, int]) -> dict[str, int]:
        return {name: max(0, bound - passed.get(int(name), 0)) for name, bound in self.bounds.items()}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One store against what it must hold.

    `dead`: missing documents that are dead letters. `in_flight`: at most this many may still arrive.
    `repeated`: records that were decided more than once; they make up for no missing one.
    """

    stage: Owner
    what: str
    expected: int
    found: int
    dead: int = 0
    in_flight: int = 0
    repeated: int = 0

    @property
    def difference(self) -> int:
        """Found and dead less expected."""
        return self.found + self.dead - self.expected

    @property
    def wrong(self) -> bool:
        """Whether it differs by more than what is in flight."""
        return self.repeated > 0 or self.difference > 0 or self.is_short

    @property
    def is_short(self) -> bool:
        """Whether more is missing than what is in flight."""
        return -self.difference > self.in_flight

    @property
    def pending(self) -> bool:
        """Whether no verdict is possible yet."""
        return self.in_flight > 0 and not self.wrong

    @property
    def text(self) -> str:
        """The line as people read it, without its stage."""
        parts = [f"{self.what} {self.found:,} of {self.expected:,} expected"]
        if self.dead:
            parts.append(f"{self.dead:,} dead letters")
        if self.in_flight:
            parts.append(f"at most {self.in_flight:,} in flight")
        if self.difference > 0:
            parts.append(f"{self.difference:,} too many")
        if self.is_short:
            parts.append(f"{-self.difference:,} missing")
        if self.repeated:
            parts.append(f"{self.repeated:,} decided twice")
        return ", ".join(parts)


@dataclass(frozen=True)
class Reconciliation:
    """The equation of an hour, or of a day. `owner` is the first stage with a difference."""

    hour: datetime
    lines: tuple[Line, ...]

    @property
    def owner(self) -> Owner | None:
        """The first stage with a difference; the gate comes before those that read from it."""
        return next((line.stage for line in self.lines if line.wrong), None)

    @property
    def balanced(self) -> bool:
        """Whether nothing is known to differ."""
        return self.owner is None

    @property
    def pending(self) -> bool:
        """Whether a stage has not passed the hour yet."""
        return any(line.pending for line in self.lines)

    @property
    def state(self) -> State:
        """One word for all lines."""
        return "difference" if not self.balanced else "pending" if self.pending else "balanced"


def undecided_line(raw: int, undecided: int) -> Line:
    """The only line of an hour that the gate has not finished."""
    return Line(stage="gate", what="decided", expected=raw, found=raw - undecided, in_flight=undecided)


def gate_line(evidence: Evidence) -> Line:
    """What the gate admitted against what it read and did not reject.

    A raw record that was decided twice counts once: it would hide a lost one.
    """
    return Line(
        stage="gate",
        what=ADMITTED,
        expected=evidence.raw - sum(evidence.rejected.values()),
        found=evidence.valid - evidence.repeated,
        repeated=evidence.repeated,
    )


def store_line(stage: Owner, what: str, expected: int, found: int, in_flight: int, *, dead: int = 0) -> Line:
    """A store behind the gate; of what is in flight, no more than is expected."""
    return Line(stage=stage, what=what, expected=expected, found=found, dead=dead, in_flight=min(in_flight, expected))


def oldest_month(now: datetime, months: int) -> str:
    """The oldest event month that retention of the indices keeps, `YYYY-MM`."""
    first = now.year * 12 + now.month - 1 - months
    return f"{first // 12:04d}-{first % 12 + 1:02d}"


def merged(evidences: Sequence[Evidence]) -> Evidence:
    """The evidence of a day out of that of its hours."""
    rejected: dict[str, int] = {}
    months: dict[str, Rows] = {}
    bounds: dict[str, int] = {}
    for evidence in evidences:
        for reason, count in evidence.rejected.items():
            rejected[reason] = rejected.get(reason, 0) + count
        for month, rows in evidence.months.items():
            months.setdefault(month, Rows()).add(rows)
        for partition, bound in evidence.bounds.items():
            bounds[partition] = max(bound, bounds.get(partition, 0))
    return Evidence(raw=sum(each.raw for each in evidences), rejected=rejected, months=months, bounds=bounds)


def _sum(several: Iterable[Rows]) -> Rows:
    total = Rows()
    for rows in several:
        total.add(rows)
    return total
