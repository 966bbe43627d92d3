"""What supervision and reconciliation saw on the known day: their rounds, and the events these must become."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.contracts.documents import EventKind, PipelineEvent
from include.ingest.emission import VALID
from include.supervise.events import difference, of_archive, of_hour, of_round
from include.supervise.decision_log import Entry
from include.supervise.observation import Away, Gate, Kafka, Observation, Search
from include.supervise.policy import Action, Decision, Finding
from include.supervise.reconcile import Line, Reconciliation
from tests.known_day import START, Day, arrived

EVERY = timedelta(minutes=30)
ROUNDS = 48
HOUR = timedelta(hours=1)
SILENT_ROUNDS = (20, 21, 22)
UNEQUAL_HOUR, PENDING_HOUR = 5, 7
BALANCED, DIFFERENT, PENDING = "balanced", "different", "pending"


@dataclass(frozen=True)
class Round:
    """One look, 10 s before each half hour, at what had arrived by the half hour."""

    number: int
    verdicts: Counter[str]

    @property
    def at(self) -> datetime:
        return START + self.number * EVERY - timedelta(seconds=10)

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
        return "page" if self.number in SILENT_ROUNDS else "healthy"

    def counters(self) -> dict[tuple[EventKind, str, str], int]:
        """Kind, stage and name -> total."""
        refused = {reason: count for reason, count in self.verdicts.items() if reason != VALID}
        return {
            ("stage", "ingest", "raw"): self.verdicts.total(),
            ("stage", "gate", "decided"): self.verdicts.total() - self.gate_lag,
            ("stage", "gate", "valid"): self.verdicts[VALID],
            ("stage", "gate", "rejected"): sum(refused.values()),
            ("stage", "stream", "searchable"): self.verdicts[VALID],
            ("dead", "stream", "documents.dead"): self.dead,
            **{("rejected", "gate", reason): count for reason, count in refused.items()},
        }

    def entry(self) -> Entry:
        """As supervision keeps it."""
        seen = Observation(
            taken_at=self.at.timestamp(),
            flink=Away("not asked"),
            kafka=Kafka(
                raw_end=self.verdicts.total(),
                gate_lag=self.gate_lag,
                valid_end=self.verdicts[VALID],
                stream_lag=self.stream_lag,
                rejected_end=0,
                dead_end=self.dead,
            ),
            gate=Gate(heartbeat_age_s={}, verdicts=dict(self.verdicts)),
            elasticsearch=Search("green", None, self.verdicts[VALID], None, None),
            restore=Away("not asked"),
            input_flowing=True,
        )
        healthy = Decision("healthy", "supervise.healthy", "all is well", "none")
        silent = Decision("page", "gate.silent", "nobody looks", "look", (Finding("wait", "gate.lagging", "x", "y"),))
        return Entry(self.at.timestamp(), seen, silent if self.action == "page" else healthy)


def rounds(day: Day) -> list[Round]:
    """All rounds of the day."""
    return [Round(number, arrived(day, START + number * EVERY)) for number in range(1, ROUNDS + 1)]


def hours(day: Day) -> Iterator[tuple[Reconciliation, int]]:
    """The hours as the stages counted them, and the sessions of each."""
    for number in range(24):
        hour = START + number * HOUR
        valid = (arrived(day, hour + HOUR) - arrived(day, hour))[VALID]
        indexed = valid - (3 if number in (UNEQUAL_HOUR, PENDING_HOUR) else 0)
        waiting = 4 if number == PENDING_HOUR else 0
        lines = (
            Line(stage="gate", what="admitted", expected=valid, found=valid),
            Line(stage="stream", what="session_summary", expected=valid, found=indexed, in_flight=waiting),
            Line(stage="archive", what="in MongoDB", expected=valid, found=valid),
        )
        yield Reconciliation(hour, lines), valid


def events(day: Day) -> Iterator[list[PipelineEvent]]:
    """What supervision's own functions make of it, in the order of time, batch by batch."""
    known: set[str] = set()
    for one in rounds(day):
        yield of_round(one.entry(), known)
        known = {page.alarm for page in one.entry().decision.pages}
    archived = 0
    for found, valid in hours(day):
        now = found.hour + HOUR + timedelta(minutes=20)
        archived += valid
        yield [*of_hour(found), *of_archive(archived, 9, now)]
        if found.hour == START + UNEQUAL_HOUR * HOUR:
            yield [difference("reconcile.difference", "stream: too few", now)]


@dataclass(frozen=True)
class Told:
    """An event that must be there, counted without the code that writes it."""

    at: datetime
    kind: EventKind
    stage: str
    name: str
    value: float
    total: float | None = None
    detail: str | None = None


def told(day: Day) -> Iterator[Told]:
    """All events of the day."""
    before: dict[tuple[EventKind, str, str], int] = {}
    for one in rounds(day):
        for key, total in one.counters().items():
            if total > before.get(key, 0):
                yield Told(one.at, *key, total - before.get(key, 0), total)
        before = one.counters()
        yield Told(one.at, "lag", "gate", "gate", one.gate_lag)
        yield Told(one.at, "lag", "stream", "stream", one.stream_lag)
        yield Told(one.at, "decision", "supervise", one.action, 1)
        if one.number == SILENT_ROUNDS[0]:
            yield Told(one.at, "alarm", "gate", "gate.silent", 1, None, "nobody looks")
    archived = 0
    for number in range(24):
        hour = START + number * HOUR
        now = hour + HOUR + timedelta(minutes=20)
        valid = (arrived(day, hour + HOUR) - arrived(day, hour))[VALID]
        missing, detail = {UNEQUAL_HOUR: (-3, DIFFERENT), PENDING_HOUR: (-3, PENDING)}.get(number, (0, BALANCED))
        yield Told(hour, "reconciled", "gate", "admitted", 0, valid, BALANCED)
        yield Told(hour, "reconciled", "stream", "session_summary", missing, valid, detail)
        yield Told(hour, "reconciled", "archive", "in MongoDB", 0, valid, BALANCED)
        yield Told(now, "lag", "archive", "archive", 9)
        if valid:
            yield Told(now, "stage", "archive", "archived", valid, archived + valid)
        archived += valid
        if number == UNEQUAL_HOUR:
            yield Told(now, "alarm", "supervise", "reconcile.difference", 1, None, "stream: too few")
