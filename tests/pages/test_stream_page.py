"""View model of the Stream page."""

from datetime import UTC, datetime
from typing import Any

from include.contracts.reject_reasons import Reason
from include.gate.rejected import RejectedRecord
from include.supervise.decision_log import DecisionRecord
from include.supervise.observation import KafkaState, Observation, Unavailable
from include.supervise.policy import Decision
from include.supervise.stage_status import StageMetric, StageRow
from showroom.web import formatting
from showroom.web.data_sources import SourceFailure
from showroom.web.stream import StreamPage, stream_page

START = 1_800_000_000.0
FAILURE = SourceFailure("MongoDB", "MongoDB does not answer", "start it")


def entry(number: int, action: str, is_restart: bool = False, lag: int | None = None) -> DecisionRecord:
    unavailable = Unavailable("not probed")
    kafka = (
        KafkaState(raw_end=9, gate_lag=lag, valid_end=9, stream_lag=2 * lag, rejected_end=0, dead_end=0)
        if lag
        else unavailable
    )
    observation = Observation(
        taken_at=START + number,
        flink=unavailable,
        kafka=kafka,
        gate=unavailable,
        elasticsearch=unavailable,
        restore=unavailable,
        input_flowing=None,
    )
    decision = Decision(action=action, alert="", reason=f"it is {action}", remedy="none")  # type: ignore[arg-type]
    return DecisionRecord(at=START + number, observation=observation, decision=decision, is_restart=is_restart)


def page(**sources: Any) -> StreamPage:
    empty: dict[str, Any] = {"stages": [], "decisions": [], "rejected": {}, "hours": []}
    return stream_page(**(empty | sources))


def test_stream_page_repeated_decisions_are_one_row_but_not_actions() -> None:
    entries = [entry(9 - number, action) for number, action in enumerate(("healthy", "healthy", "healthy", "wait"))]
    entries += [entry(5, "resume", is_restart=True), entry(4, "resume", is_restart=True)]
    rows = page(decisions=entries).decisions
    assert isinstance(rows, tuple)
    assert [(row.action, row.times) for row in rows] == [("healthy", 3), ("wait", 1), ("resume", 1), ("resume", 1)]
    assert rows[0].until > rows[0].at


def test_stream_page_lag_chart_has_only_observed_values() -> None:
    chart = page(decisions=[entry(2, "wait", lag=7), entry(1, "page"), entry(0, "wait", lag=5)]).charts["lag"]
    assert [(line["name"], line["values"]) for line in chart["traces"]] == [("gate", [5, 7]), ("stream", [10, 14])]


def test_stream_page_stage_without_values_shows_dashes() -> None:
    metrics = (StageMetric(name="stream.checkpoint_age_s", value=95.0, unit="s"), StageMetric(name="job", value=None))
    row = StageRow(stage="stream", state="unavailable", note="no answer", rate=None, lag=None, metrics=metrics)
    cards = page(stages=[row]).stages
    assert isinstance(cards, tuple)
    assert (cards[0].rate, cards[0].lag) == (formatting.MISSING, formatting.MISSING)
    assert cards[0].metrics == (("checkpoint age", "1 min 35 s"), ("job", formatting.MISSING))


def test_stream_page_reject_reasons_have_a_description() -> None:
    rows = page(rejected={Reason.DUPLICATE: 8, Reason.EMPTY: 2}).rejects
    assert isinstance(rows, tuple)
    assert [(row.reason, row.records, row.share) for row in rows] == [("duplicate", "8", 1.0), ("empty", "2", 0.25)]
    assert rows[1].meaning == "the record has no value"


def test_stream_page_rejected_records_have_detail_session_and_origin() -> None:
    record = RejectedRecord(
        datetime(2026, 11, 25, 1, 19, 19, tzinfo=UTC), "wrong_key", "no key", "sessions.raw", 2, 77, "s-1", b"secret"
    )
    rows = page(newest=[record]).newest
    assert isinstance(rows, tuple)
    assert rows[0] == ("25 Nov 01:19:19", "wrong key", "no key", "s-1", "sessions.raw[2]@77")
    assert page(newest=FAILURE).newest == FAILURE


def test_stream_page_failed_source_does_not_affect_other_parts() -> None:
    shown = page(hours=FAILURE, rejected=FAILURE)
    assert (shown.hours, shown.rejects) == (FAILURE, FAILURE)
    assert (shown.stages, shown.decisions) == ((), ())
