"""Status rows of the stages: states by the present decision, rates by an earlier observation."""

from dataclasses import asdict
from typing import Any

import pytest
from msgspec.structs import replace as changed

from include.supervise.decision_log import DecisionRecord
from include.supervise.observation import Observation, Unavailable
from include.supervise.policy import Decision, Finding, decide
from include.supervise.stage_status import SHOWN, CurrentStatus, StageRow, rows
from tests.unit.supervise.factories import FLINK, LIMITS, NOW, archived, at, gate, kafka, search

UNAVAILABLE = Unavailable("refused")


def by_stage(
    seen: Observation,
    earlier: Observation | None = None,
    newest: DecisionRecord | None = None,
    decision: Decision | None = None,
) -> dict[str, StageRow]:
    decision = decision or decide(seen, (), (), LIMITS, NOW)
    status = CurrentStatus(observation=seen, decision=decision, earlier=earlier, newest=newest)
    return {row.stage: row for row in rows(status)}


def decided(seen: Observation, *before: Observation) -> DecisionRecord:
    return DecisionRecord(NOW, seen, decide(seen, before, (), LIMITS, NOW))


def metrics(row: StageRow) -> dict[str, Any]:
    return {metric.name: metric.value for metric in row.metrics}


def test_rows_of_a_healthy_platform_have_each_stage() -> None:
    stages = by_stage(at(), at(60), decided(at()))
    assert tuple(stages) == SHOWN
    assert {row.state for row in stages.values()} == {"ok"}
    assert {row.note for row in stages.values()} == {""}
    assert metrics(stages["supervise"])["action"] == "healthy"


def test_row_state_follows_the_present_observation() -> None:
    lost = decided(at(60, flink=changed(FLINK, job=None, jobs=0)))
    assert lost.decision.should_restart
    row = by_stage(at(), at(60), lost)["stream"]
    assert (row.state, row.note) == ("ok", "")


def test_archive_row_has_its_lag() -> None:
    row = by_stage(at(**archived(400, 1_001, 50)), at(60, **archived(100, 1_001, 50)))["archive"]
    assert (row.state, row.lag, row.rate, metrics(row)) == ("ok", 600, 5.0, {"last write": 50.0})


def test_row_of_an_automatic_restart_has_a_complete_note() -> None:
    row = by_stage(at(flink=changed(FLINK, job=None, jobs=0)))["stream"]
    assert row.state == "failing"
    assert row.note == (
        "no stream job is running; the newest checkpoint is chk-7; "
        "no action needed, the supervisor repairs this: it resumes the job"
    )


def test_rates_are_means_since_the_earlier_observation() -> None:
    before = at(
        60, kafka=kafka(raw_end=3_000, gate_lag=0, valid_end=2_000, stream_lag=0), elasticsearch=search(sessions=2_000)
    )
    now = at(kafka=kafka(raw_end=9_000, gate_lag=600, valid_end=8_000, stream_lag=1_200))
    stages = by_stage(now, before)
    assert {stage: row.rate for stage, row in stages.items()} == pytest.approx(
        {"ingest": 100.0, "gate": 90.0, "stream": 80.0, "serving": 100.0, "archive": 0.0, "supervise": None}
    )
    assert (stages["gate"].lag, stages["stream"].lag) == (600, 1_200)


def test_recreated_topic_has_no_negative_rate() -> None:
    stages = by_stage(at(kafka=kafka(raw_end=10, valid_end=8)), at(60))
    assert (stages["ingest"].rate, stages["gate"].rate, stages["stream"].rate) == (0, 0, 0)


@pytest.mark.parametrize("earlier", [None, at(60, kafka=UNAVAILABLE)])
def test_rows_without_an_earlier_observation_have_no_rates(earlier: Observation | None) -> None:
    assert {row.rate for row in by_stage(at(), earlier).values()} == {None}


@pytest.mark.parametrize(
    ("part", "stage"),
    [("kafka", "ingest"), ("gate", "gate"), ("flink", "stream"), ("elasticsearch", "serving"), ("archive", "archive")],
)
def test_row_of_an_unavailable_part_has_its_reason(part: str, stage: str) -> None:
    seen = changed(at(), **{part: UNAVAILABLE})
    stages = by_stage(seen, at(60), decided(at()))
    assert (stages[stage].state, stages[stage].note) == ("unavailable", "refused")
    assert [row.stage for row in stages.values() if row.state == "unavailable"] == [stage]
    if part == "kafka":
        assert (stages["gate"].lag, stages["stream"].lag, metrics(stages["ingest"])) == (None, None, {"records": None})


def test_row_shows_the_worst_finding_of_its_stage() -> None:
    wait = Finding("wait", "gate.heartbeat_missing", "partition 1", "look")
    page = Finding("page", "gate.lagging", "50000 wait", "more processes")
    seen = at()
    stages = by_stage(seen, decision=Decision("wait", "stream.not_running", "idle", "none", (wait, page)))
    assert (stages["gate"].state, stages["gate"].note) == ("failing", "50000 wait; more processes")
    assert (stages["stream"].state, stages["stream"].note) == ("waiting", "idle; none")
    assert stages["serving"].state == "ok"


def test_row_of_a_partition_without_heartbeat_has_no_age() -> None:
    seen = at(flink=changed(FLINK, job=None, jobs=0), gate=gate(0.2, None))
    stages = by_stage(seen, None, decided(seen))
    assert stages["stream"].state == "failing"
    assert metrics(stages["stream"]) == {"job": None}
    assert metrics(stages["gate"])["gate.heartbeat_age_s"] is None
    assert list(metrics(stages["gate"])) == ["gate.heartbeat_age_s", "valid", "duplicate"]


def test_supervise_row_without_a_decision_is_unavailable() -> None:
    row = by_stage(at())["supervise"]
    assert (row.state, row.metrics) == ("unavailable", ())
    assert row.note


def test_stream_row_figures_have_units() -> None:
    row = by_stage(at())["stream"]
    assert [(metric["name"], metric["unit"]) for metric in map(asdict, row.metrics) if metric["unit"]] == [
        ("stream.checkpoint_age_s", "s"),
        ("stream.restarts", "restarts"),
    ]
