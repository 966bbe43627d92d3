"""The stage equation of one hour, pure: raw = rejected + admitted, and admitted = indexed or dead letter = archived.

An hour contains the records that reached `sessions.raw` in it, by the broker's time. A stage is compared once it has
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
"""Indices whose documents have the time of arrival, so they are compared by hour."""

ReconciledStage = Literal["gate", "stream", "archive"]
State = Literal["balanced", "pending", "difference", "unverifiable"]


class Rows(msgspec.Struct, kw_only=True):
    """Documents of sessions, by index."""

    session_summary: int = 0
    product_details: int = 0
    product_sentiment: int = 0

    def add(self, other: "Rows") -> None:
        """Add the counts of `other`."""
        self.session_summary += other.session_summary
        self.product_details += other.product_details
        self.product_sentiment += other.product_sentiment

    def of(self, index: str) -> int:
        """Return the count of one index."""
        return int(getattr(self, index))


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Kafka's counts of an hour that the gate has decided.

    Attributes:
        raw: Records, without markers and aborted ones.
        rejected: Reason -> records.
        months: Event month `YYYY-MM` -> documents expected of the admitted sessions.
        bounds: Partition -> offset after the last record of the hour; a partition without a record is omitted.
        partitions: Partition of `sessions.valid` -> expected documents; empty in evidence of earlier versions.
        repeated: Decisions on raw records that had one already.
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
        """Return the expected documents of an index in the months that are retained."""
        return sum(rows.of(index) for month, rows in self.months.items() if month >= oldest_month)

    def reachable(self, ends: Mapping[int, int]) -> "Evidence":
        """Return this evidence with bounds that a reader can pass: a recreated topic ends below the old ones.

        Args:
            ends: Partition -> the present end offset of `sessions.valid`.
        """
        bounds = {name: min(bound, ends.get(int(name), bound)) for name, bound in self.bounds.items()}
        return msgspec.structs.replace(self, bounds=bounds)

    def waiting(self, passed: Mapping[int, int]) -> int:
        """Return the offsets of the hour that a reader has not passed: an upper bound of the sessions in flight."""
        return sum(self._waiting(passed).values())

    def in_flight(self, store: str, passed: Mapping[int, int]) -> int:
        """Return the maximum number of documents of the hour that may still reach a store.

        Counted by partition, because the lag of one partition cannot explain a missing document of another.
        """
        waiting = {partition: offsets for partition, offsets in self._waiting(passed).items() if offsets}
        index = "session_summary" if store == IN_MONGODB else store
        rows = self.partitions or dict.fromkeys(waiting, _sum(self.months.values()))
        # A session has several rows in some indices, so an offset may be more than one row.
        is_row_a_session = index == "session_summary"
        return sum(
            min(offsets, rows[partition].of(index)) if is_row_a_session else rows[partition].of(index)
            for partition, offsets in waiting.items()
        )

    def _waiting(self, passed: Mapping[int, int]) -> dict[str, int]:
        return {name: max(0, bound - passed.get(int(name), 0)) for name, bound in self.bounds.items()}


@dataclass(frozen=True, kw_only=True)
class StageCount:
    """One store's count against the expected count.

    Attributes:
        stage: The stage that writes the store.
        what: The store.
        expected: Documents that it must have.
        actual: Documents that it has.
        dead: Missing documents that are dead letters.
        in_flight: Maximum number of documents that may still arrive.
        repeated: Records that were decided more than once; they do not compensate a missing one.
    """

    stage: ReconciledStage
    what: str
    expected: int
    actual: int
    dead: int = 0
    in_flight: int = 0
    repeated: int = 0

    @property
    def difference(self) -> int:
        """Found and dead less expected."""
        return self.actual + self.dead - self.expected

    @property
    def is_mismatched(self) -> bool:
        """Whether it differs by more than the documents in flight."""
        return self.repeated > 0 or self.difference > 0 or self.is_short

    @property
    def is_short(self) -> bool:
        """Whether more documents are missing than are in flight."""
        return -self.difference > self.in_flight

    @property
    def is_pending(self) -> bool:
        """Whether the comparison is not possible yet."""
        return self.in_flight > 0 and not self.is_mismatched

    @property
    def text(self) -> str:
        """A summary without the stage."""
        parts = [f"{self.what} {self.actual:,} of {self.expected:,} expected"]
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
    """The equation of an hour, or of a day."""

    hour: datetime
    lines: tuple[StageCount, ...]

    @property
    def first_mismatched_stage(self) -> ReconciledStage | None:
        """The first stage with a difference; the gate comes before the stages that read from it."""
        return next((line.stage for line in self.lines if line.is_mismatched), None)

    @property
    def is_balanced(self) -> bool:
        """Whether no difference is known."""
        return self.first_mismatched_stage is None

    @property
    def is_pending(self) -> bool:
        """Whether a stage has not passed the hour yet."""
        return any(line.is_pending for line in self.lines)

    @property
    def state(self) -> State:
        """The state of all lines."""
        return "difference" if not self.is_balanced else "pending" if self.is_pending else "balanced"


def undecided_line(raw: int, undecided: int) -> StageCount:
    """Return the only line of an hour that the gate has not decided."""
    return StageCount(stage="gate", what="decided", expected=raw, actual=raw - undecided, in_flight=undecided)


def gate_line(evidence: Evidence) -> StageCount:
    """Compare the admitted records with the records that the gate read and did not reject.

    A raw record that was decided twice counts once; otherwise it would hide a lost one.
    """
    return StageCount(
        stage="gate",
        what=ADMITTED,
        expected=evidence.raw - sum(evidence.rejected.values()),
        actual=evidence.valid - evidence.repeated,
        repeated=evidence.repeated,
    )


def store_line(
    stage: ReconciledStage, what: str, expected: int, result: int, in_flight: int, *, dead: int = 0
) -> StageCount:
    """Compare a downstream store; the documents in flight are limited to the expected ones."""
    return StageCount(
        stage=stage, what=what, expected=expected, actual=result, dead=dead, in_flight=min(in_flight, expected)
    )


def oldest_month(now: datetime, months: int) -> str:
    """Return the oldest event month that the indices retain, `YYYY-MM`."""
    first = now.year * 12 + now.month - 1 - months
    return f"{first // 12:04d}-{first % 12 + 1:02d}"


def merge(evidences: Sequence[Evidence]) -> Evidence:
    """Merge the evidence of the hours of a day."""
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
    return Evidence(raw=sum(evidence.raw for evidence in evidences), rejected=rejected, months=months, bounds=bounds)


def _sum(several: Iterable[Rows]) -> Rows:
    total = Rows()
    for rows in several:
        total.add(rows)
    return total
