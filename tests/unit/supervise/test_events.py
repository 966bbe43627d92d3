"""Events of a decision and of a reconciled hour."""

from datetime import UTC, datetime

from include.contracts.index_documents import PipelineEvent
from include.supervise.alerts import ALERTS, stage_of
from include.supervise.decision_log import DecisionRecord
from include.supervise.events import (
    MAX_DETAIL_CHARS,
    events_from_archive,
    events_from_decision,
    events_from_reconciliation,
    reconciliation_alert,
)
from include.supervise.observation import ElasticsearchState, GateState, Observation, Unavailable
from include.supervise.policy import Decision, Finding, decide
from include.supervise.reconcile import Reconciliation, StageCount
from tests.unit.supervise.factories import LIMITS, NOW, at, kafka

HOUR = datetime(2026, 11, 23, 8, tzinfo=UTC)
Values = dict[tuple[str, str, str], tuple[float, float | None]]


def values(events: list[PipelineEvent]) -> Values:
    return {(event.kind, event.stage, event.name): (event.value, event.total) for event in events}


def record_of(seen: Observation, outcome: str | None = None) -> DecisionRecord:
    return DecisionRecord(NOW, seen, decide(seen, (), (), LIMITS, NOW), outcome=outcome)


def test_events_from_healthy_decision_have_counts_lags_and_action() -> None:
    gate = GateState(heartbeat_age_s={0: 0.5}, verdicts={"valid": 8_000, "duplicate": 900, "blocked_user": 100})
    events = events_from_decision(record_of(at(gate=gate, kafka=kafka(gate_lag=30, dead_end=4))), ())
    assert values(events) == {
        ("stage", "ingest", "raw"): (0, 9_000),
        ("stage", "gate", "decided"): (0, 8_970),
        ("stage", "gate", "valid"): (0, 8_000),
        ("stage", "gate", "rejected"): (0, 1_000),
        ("stage", "stream", "searchable"): (0, 8_000),
        ("rejected", "gate", "blocked_user"): (0, 100),
        ("rejected", "gate", "duplicate"): (0, 900),
        ("dead_letter", "stream", "documents.dead"): (0, 4),
        ("lag", "gate", "gate"): (30, None),
        ("lag", "stream", "stream"): (2, None),
        ("decision", "supervise", "healthy"): (1, None),
    }
    assert {event.at for event in events} == {datetime.fromtimestamp(NOW, UTC)}


def test_events_from_decision_omit_unavailable_parts() -> None:
    unavailable = Unavailable("no answer")
    events = events_from_decision(
        record_of(at(kafka=unavailable, gate=unavailable, elasticsearch=unavailable, flink=unavailable)), ()
    )
    assert {event.kind for event in events} <= {"decision", "alert"}
    assert [event.name for event in events if event.kind == "decision"] == ["wait"]


def test_events_from_decision_omit_sessions_of_a_red_cluster() -> None:
    red = ElasticsearchState(health="red", write_block="a shard is missing", sessions=0, newest_id=None, newest_at=None)
    events = events_from_decision(record_of(at(elasticsearch=red)), ())
    assert ("stage", "stream", "searchable") not in values(events)
    assert ("stage", "ingest", "raw") in values(events)


def test_events_from_balanced_hour_have_each_stage() -> None:
    count = StageCount(stage="gate", what="admitted", expected=90, actual=90)
    (event,) = events_from_reconciliation(Reconciliation(HOUR, (count,)))
    assert (event.at, event.kind, event.stage, event.name, event.detail) == (
        HOUR,
        "reconciliation",
        "gate",
        "admitted",
        "balanced",
    )


def test_events_from_decision_have_new_alerts_with_their_stage() -> None:
    alerts = [Finding("page", alert, f"why\n {alert}", "see there") for alert in ALERTS]
    waits = Finding("wait", "gate.lagging", "some", "none")
    decision = Decision("page", alerts[0].alert, alerts[0].reason, "see there", (*alerts[1:], waits))
    record = DecisionRecord(NOW, at(), decision)
    events = [event for event in events_from_decision(record, ()) if event.kind == "alert"]
    assert [(event.stage, event.name, event.detail) for event in events] == [
        (stage_of(alert), alert, f"why {alert}") for alert in ALERTS
    ]
    assert not [event for event in events_from_decision(record, ALERTS) if event.kind == "alert"]


def test_decision_event_detail_has_reason_and_outcome_within_its_limit() -> None:
    record = record_of(at(), outcome="job j2 runs\nstarted " + "x" * 2_000)
    (event,) = [event for event in events_from_decision(record, ()) if event.kind == "decision"]
    assert event.detail is not None
    assert event.detail.startswith("supervise.healthy: the job runs")
    assert "; job j2 runs started x" in event.detail
    assert len(event.detail) == MAX_DETAIL_CHARS


def test_events_from_reconciliation_and_archive_have_each_stage() -> None:
    lines = (
        StageCount(stage="gate", what="admitted", expected=90, actual=88),
        StageCount(stage="stream", what="session_summary", expected=88, actual=89, dead=1),
        StageCount(stage="archive", what="in MongoDB", expected=88, actual=70, in_flight=25),
    )
    now = HOUR.replace(hour=9, minute=20)
    events = [*events_from_reconciliation(Reconciliation(HOUR, lines)), *events_from_archive(4_000, 25, now)]
    assert [(event.at, event.stage, event.name, event.value, event.total, event.detail) for event in events] == [
        (HOUR, "gate", "admitted", -2, 90, "different"),
        (HOUR, "stream", "session_summary", 2, 88, "different"),
        (HOUR, "archive", "in MongoDB", -18, 88, "pending"),
        (now, "archive", "archived", 0, 4_000, None),
        (now, "archive", "archive", 25, None, None),
    ]
    assert reconciliation_alert("reconcile.difference", "x\n y", now).detail == "x y"
