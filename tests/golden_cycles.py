"""Supervision cycles and reconciled hours of the golden day, and their expected events."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.contracts.index_documents import EventKind, PipelineEvent
from include.ingest.labelled_record import VALID
from include.supervise.decision_log import DecisionRecord
from include.supervise.events import (
    events_from_archive,
    events_from_decision,
    events_from_reconciliation,
    reconciliation_alert,
)
from include.supervise.observation import ElasticsearchState, GateState, KafkaState, Observation, Unavailable
from include.supervise.policy import Action, Decision, Finding
from include.supervise.reconcile import Reconciliation, StageCount
from tests.golden_day import START, Day, arrived

INTERVAL = timedelta(minutes=30)
CYCLES = 48
HOUR = timedelta(hours=1)
SILENT_CYCLES = (20, 21, 22)
UNEQUAL_HOUR, PENDING_HOUR = 5, 7
BALANCED, DIFFERENT, PENDING = "balanced", "different", "pending"


@dataclass(frozen=True)
class Cycle:
    """One cycle, 10 s before each half hour, with the records of that half hour."""

    number: int
    verdicts: Counter[str]

    @property
    def at(self) -> datetime:
        return START + self.number * INTERVAL - timedelta(seconds=10)

    @property
    def gate_lag(self) -> int:
        return self.number * 37 % 50 + 1

    @property
    def stream_lag(self) -> int:
        return self.number * 11 % 20

    @property
    def dead(self) -> int:
        return self.number // 10

    @property
    def action(self) -> Action:
        return "page" if self.number in SILENT_CYCLES else "healthy"

    def counters(self) -> dict[tuple[EventKind, str, str], int]:
        """Return kind, stage and name -> total."""
        rejected = {reason: count for reason, count in self.verdicts.items() if reason != VALID}
        return {
            ("stage", "ingest", "raw"): self.verdicts.total(),
            ("stage", "gate", "decided"): self.verdicts.total() - self.gate_lag,
            ("stage", "gate", "valid"): self.verdicts[VALID],
            ("stage", "gate", "rejected"): sum(rejected.values()),
            ("stage", "stream", "searchable"): self.verdicts[VALID],
            ("dead_letter", "stream", "documents.dead"): self.dead,
            **{("rejected", "gate", reason): count for reason, count in rejected.items()},
        }

    def record(self) -> DecisionRecord:
        """Return its record of the decision log."""
        seen = Observation(
            taken_at=self.at.timestamp(),
            flink=Unavailable("not probed"),
            kafka=KafkaState(
                raw_end=self.verdicts.total(),
                gate_lag=self.gate_lag,
                valid_end=self.verdicts[VALID],
                stream_lag=self.stream_lag,
                rejected_end=0,
                dead_end=self.dead,
            ),
            gate=GateState(heartbeat_age_s={}, verdicts=dict(self.verdicts)),
            elasticsearch=ElasticsearchState("green", None, self.verdicts[VALID], None, None),
            restore=Unavailable("not probed"),
            input_flowing=True,
        )
        healthy = Decision("healthy", "supervise.healthy", "all is well", "none")
        silent = Decision(
            "page", "gate.heartbeat_missing", "no heartbeat", "restart it", (Finding("wait", "gate.lagging", "x", "y"),)
        )
        return DecisionRecord(self.at.timestamp(), seen, silent if self.action == "page" else healthy)


def cycles(day: Day) -> list[Cycle]:
    """Return all cycles of the day."""
    return [Cycle(number, arrived(day, START + number * INTERVAL)) for number in range(1, CYCLES + 1)]


def hours(day: Day) -> Iterator[tuple[Reconciliation, int]]:
    """Yield the reconciled hours, and the sessions of each."""
    for number in range(24):
        hour = START + number * HOUR
        valid = (arrived(day, hour + HOUR) - arrived(day, hour))[VALID]
        indexed = valid - (3 if number in (UNEQUAL_HOUR, PENDING_HOUR) else 0)
        waiting = 4 if number == PENDING_HOUR else 0
        lines = (
            StageCount(stage="gate", what="admitted", expected=valid, actual=valid),
            StageCount(stage="stream", what="session_summary", expected=valid, actual=indexed, in_flight=waiting),
            StageCount(stage="archive", what="in MongoDB", expected=valid, actual=valid),
        )
        yield Reconciliation(hour, lines), valid


def events(day: Day) -> Iterator[list[PipelineEvent]]:
    """Yield the events of supervision's functions, in the order of time, batch by batch."""
    already_sent: set[str] = set()
    for cycle in cycles(day):
        yield events_from_decision(cycle.record(), already_sent)
        already_sent = {finding.alert for finding in cycle.record().decision.alerts}
    archived = 0
    for result, valid in hours(day):
        now = result.hour + HOUR + timedelta(minutes=20)
        archived += valid
        yield [*events_from_reconciliation(result), *events_from_archive(archived, 9, now)]
        if result.hour == START + UNEQUAL_HOUR * HOUR:
            yield [reconciliation_alert("reconcile.difference", "stream: too few", now)]


@dataclass(frozen=True)
class ExpectedEvent:
    """An expected event, counted without the code that writes it."""

    at: datetime
    kind: EventKind
    stage: str
    name: str
    value: float
    total: float | None = None
    detail: str | None = None


def expected_events(day: Day) -> Iterator[ExpectedEvent]:
    """Yield all events of the day."""
    before: dict[tuple[EventKind, str, str], int] = {}
    for cycle in cycles(day):
        for key, total in cycle.counters().items():
            if total > before.get(key, 0):
                yield ExpectedEvent(cycle.at, *key, total - before.get(key, 0), total)
        before = cycle.counters()
        yield ExpectedEvent(cycle.at, "lag", "gate", "gate", cycle.gate_lag)
        yield ExpectedEvent(cycle.at, "lag", "stream", "stream", cycle.stream_lag)
        yield ExpectedEvent(cycle.at, "decision", "supervise", cycle.action, 1)
        if cycle.number == SILENT_CYCLES[0]:
            yield ExpectedEvent(cycle.at, "alert", "gate", "gate.heartbeat_missing", 1, None, "no heartbeat")
    archived = 0
    for number in range(24):
        hour = START + number * HOUR
        now = hour + HOUR + timedelta(minutes=20)
        valid = (arrived(day, hour + HOUR) - arrived(day, hour))[VALID]
        missing, detail = {UNEQUAL_HOUR: (-3, DIFFERENT), PENDING_HOUR: (-3, PENDING)}.get(number, (0, BALANCED))
        yield ExpectedEvent(hour, "reconciliation", "gate", "admitted", 0, valid, BALANCED)
        yield ExpectedEvent(hour, "reconciliation", "stream", "session_summary", missing, valid, detail)
        yield ExpectedEvent(hour, "reconciliation", "archive", "in MongoDB", 0, valid, BALANCED)
        yield ExpectedEvent(now, "lag", "archive", "archive", 9)
        if valid:
            yield ExpectedEvent(now, "stage", "archive", "archived", valid, archived + valid)
        archived += valid
        if number == UNEQUAL_HOUR:
            yield ExpectedEvent(now, "alert", "supervise", "reconcile.difference", 1, None, "stream: too few")
