"""Decisions and reconciled hours as documents for the Pipeline dashboard; pure.

Counter events carry only the running total; the writer computes the increment.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime

from include.contracts.index_documents import EventKind, PipelineEvent
from include.contracts.topics import DEAD
from include.supervise.alerts import stage_of
from include.supervise.decision_log import DecisionRecord
from include.supervise.observation import ElasticsearchState, GateState, KafkaState, Observation
from include.supervise.reconcile import Reconciliation, StageCount

MAX_DETAIL_CHARS = 500
VALID = "valid"


def events_from_decision(record: DecisionRecord, already_sent: Collection[str]) -> list[PipelineEvent]:
    """Return counts, lags, the decision and new alerts of one supervision cycle, without unavailable sources.

    Args:
        record: The cycle's record.
        already_sent: Alerts of the cycle before.
    """
    at = datetime.fromtimestamp(record.at, UTC)
    decision = record.decision
    detail = f"{decision.alert}: {decision.reason}"
    detail = f"{detail}; {record.outcome}" if record.outcome else detail
    return [
        *_counts(at, record.observation),
        *_lags(at, record.observation),
        _event(at, "decision", "supervise", decision.action, value=1, detail=detail),
        *(
            _event(at, "alert", stage_of(finding.alert), finding.alert, value=1, detail=finding.reason)
            for finding in decision.alerts
            if finding.alert not in already_sent
        ),
    ]


def events_from_reconciliation(result: Reconciliation) -> list[PipelineEvent]:
    """Return the stages of a reconciled hour; the same hour again replaces its documents."""
    return [_reconciled(result.hour, count) for count in result.lines]


def events_from_archive(archived: int, lag: int, now: datetime) -> list[PipelineEvent]:
    """Return how many sessions are archived and how many are not."""
    return [
        _event(now, "stage", "archive", "archived", total=archived),
        _event(now, "lag", "archive", "archive", value=lag),
    ]


def reconciliation_alert(alert_id: str, detail: str, now: datetime) -> PipelineEvent:
    """Return the event of an alert of reconciliation."""
    return _event(now, "alert", "supervise", alert_id, value=1, detail=detail)


def _counts(at: datetime, observation: Observation) -> Iterator[PipelineEvent]:
    kafka, gate, search = observation.kafka, observation.gate, observation.elasticsearch
    if isinstance(kafka, KafkaState):
        # Only topics without transactions: in others a transaction marker takes an offset.
        yield _event(at, "stage", "ingest", "raw", total=kafka.raw_end)
        yield _event(at, "stage", "gate", "decided", total=kafka.raw_end - kafka.gate_lag)
        yield _event(at, "dead_letter", "stream", DEAD, total=kafka.dead_end)
    if isinstance(gate, GateState):
        rejected = {reason: count for reason, count in gate.verdicts.items() if reason != VALID}
        yield _event(at, "stage", "gate", "valid", total=gate.verdicts.get(VALID, 0))
        yield _event(at, "stage", "gate", "rejected", total=sum(rejected.values()))
        for reason, count in sorted(rejected.items()):
            yield _event(at, "rejected", "gate", reason, total=count)
    # A red cluster has a missing shard, so its count is incomplete.
    if isinstance(search, ElasticsearchState) and search.health != "red":
        yield _event(at, "stage", "stream", "searchable", total=search.sessions)


def _lags(at: datetime, observation: Observation) -> Iterable[PipelineEvent]:
    if not isinstance(observation.kafka, KafkaState):
        return ()
    lags = {"gate": observation.kafka.gate_lag, "stream": observation.kafka.stream_lag}
    return [_event(at, "lag", stage, stage, value=lag) for stage, lag in lags.items()]


def _reconciled(hour: datetime, count: StageCount) -> PipelineEvent:
    detail = "different" if count.is_mismatched else "pending" if count.is_pending else "balanced"
    return _event(
        hour, "reconciliation", count.stage, count.what, value=count.difference, total=count.expected, detail=detail
    )


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
    line = None if detail is None else " ".join(detail.split())[:MAX_DETAIL_CHARS]
    return PipelineEvent(at=at, kind=kind, stage=stage, name=name, value=value, total=total, detail=line)
