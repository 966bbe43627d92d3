"""What supervision and reconciliation found, as documents for the Pipeline dashboard; pure.

A counter is told by its total alone: how much it grew is known to whoever writes it.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime

from include.contracts.documents import EventKind, PipelineEvent
from include.contracts.topics import DEAD
from include.supervise.decision_log import Entry
from include.supervise.observation import Gate, Kafka, Observation, Search
from include.supervise.reconcile import Line, Reconciliation

LONGEST_DETAIL = 500
VALID = "valid"


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


def of_hour(found: Reconciliation) -> list[PipelineEvent]:
    """The stages of a reconciled hour; the same hour again replaces its lines."""
    return [_reconciled(found.hour, line) for line in found.lines]


def of_archive(archived: int, lag: int, now: datetime) -> list[PipelineEvent]:
    """What only the archive knows: how many sessions it holds, and how many wait for it."""
    return [
        _event(now, "stage", "archive", "archived", total=archived),
        _event(now, "lag", "archive", "archive", value=lag),
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
    detail = "different" if line.wrong else "pending" if line.pending else "balanced"
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
