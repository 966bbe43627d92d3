"""What supervision and reconciliation found, as documents for the Pipeline dashboard; pure.

A counter is told by its total alone: how much it grew is known to whoever writes it.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime

from include.contracts.documents import EventKind, PipelineEvent
from include.contracts.topics import DEAD
from include.supervise.journal import Entry
from include.supervise.observation import Gate, Kafka, Observation, Search
from include.supervise.reconcile import Line, Reconciliation

LONGEST_DETAIL = 500
VALID = "valid"
ADMITTED = "admitted"


def of_round(entry: Entry, known: Collection[str]) -> list[PipelineEvent]:
    """Counts, lags, the decision and new alarms of one round; `known` are alarms that people had been told of.

    What was away is left out, not taken for nothing.
    """
    at = datetime.fromtimestamp(entry.at, UTC)
    told = entry.decision
    why = f"{told.alarm}: {told.reason}"
    why = f"{why}; {entry.outcome}" if entry.outcome else why
    return [
        *_counts(at, entry.observation),
        *_lags(at, entry.observation),
        _event(at, "decision", "supervise", told.action, value=1, detail=why),
        *(
            _event(at, "alarm", page.alarm.split(".")[0], page.alarm, value=1, detail=page.reason)
            for page in told.pages
            if page.alarm not in known
        ),
    ]


def of_hour(found: Reconciliation, archived: int, archive_lag: int, now: datetime) -> list[PipelineEvent]:
    """The stages of a reconciled hour, and what only the archive knows: how many sessions it holds and lacks."""
    counted = any(line.stage == "gate" for line in found.lines)
    # The gate is only counted where something differs; said of every hour, so that a mended one replaces its line.
    gate = [] if counted else [_event(found.hour, "reconciled", "gate", ADMITTED, detail="balanced")]
    return [
        *gate,
        *(_reconciled(found.hour, line) for line in found.lines),
        _event(now, "stage", "archive", "archived", total=archived),
        _event(now, "lag", "archive", "archive", value=archive_lag),
    ]


def difference(identity: str, detail: str, now: datetime) -> PipelineEvent:
    """The alarm of reconciliation."""
    return _event(now, "alarm", "supervise", identity, value=1, detail=detail)


def _counts(at: datetime, seen: Observation) -> Iterator[PipelineEvent]:
    if isinstance(seen.kafka, Kafka):
        # Only topics without transactions: in others a transaction's end takes an offset.
        yield _event(at, "stage", "ingest", "raw", total=seen.kafka.raw_end)
        yield _event(at, "stage", "gate", "decided", total=seen.kafka.raw_end - seen.kafka.gate_lag)
        yield _event(at, "dead", "stream", DEAD, total=seen.kafka.dead_end)
    if isinstance(seen.gate, Gate):
        refused = {reason: count for reason, count in seen.gate.verdicts.items() if reason != VALID}
        yield _event(at, "stage", "gate", "valid", total=seen.gate.verdicts.get(VALID, 0))
        yield _event(at, "stage", "gate", "rejected", total=sum(refused.values()))
        for reason, count in sorted(refused.items()):
            yield _event(at, "rejected", "gate", reason, total=count)
    # With a shard missing nothing was counted.
    if isinstance(seen.elasticsearch, Search) and seen.elasticsearch.health != "red":
        yield _event(at, "stage", "stream", "searchable", total=seen.elasticsearch.sessions)


def _lags(at: datetime, seen: Observation) -> Iterable[PipelineEvent]:
    if not isinstance(seen.kafka, Kafka):
        return ()
    waiting = {"gate": seen.kafka.gate_lag, "stream": seen.kafka.stream_lag}
    return [_event(at, "lag", stage, stage, value=lag) for stage, lag in waiting.items()]


def _reconciled(hour: datetime, line: Line) -> PipelineEvent:
    detail = "different" if line.wrong else "pending" if line.difference else "balanced"
    return _event(hour, "reconciled", line.stage, line.what, value=line.difference, total=line.expected, detail=detail)


def _event(
    at: datetime,
    kind: EventKind,
    stage: str,
    name: str,
    *,
    value: float = 0,
    total: float | None = None,
    detail: str | None = None,
) -> PipelineEvent:
    line = None if detail is None else " ".join(detail.split())[:LONGEST_DETAIL]
    return PipelineEvent(at=at, kind=kind, stage=stage, name=name, value=value, total=total, detail=line)
