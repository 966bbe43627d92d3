"""The stages as rows: states by the newest decision, rates by an earlier look, nothing known of what is away."""

from dataclasses import asdict
from typing import Any

import pytest
from msgspec.structs import replace as changed

from include.supervise.decision_log import Entry
from include.supervise.observation import Away, Observation
from include.supervise.policy import Decision, Finding, decide
from include.supervise.stage_status import SHOWN, Now, StageRow, rows
from tests.unit.supervise.factories import FLINK, LIMITS, NOW, archived, at, gate, kafka, search

AWAY = Away("refused")


def by_stage(
    seen: Observation,
    earlier: Observation | None = None,
    newest: Entry | None = None,
    decision: Decision | None = None,
) -> dict[str, StageRow]:
    found = decision or decide(seen, (), (), LIMITS, NOW)
    return {row.stage: row for row in rows(Now(seen=seen, decision=found, earlier=earlier, newest=newest))}


def decided(seen: Observation, *before: Observation) -> Entry:
    return Entry(NOW, seen, decide(seen, before, (), LIMITS, NOW))


def figures(row: StageRow) -> dict[str, Any]:
    return {figure.name: figure.value for figure in row.figures}


def test_a_healthy_platform_has_a_row_for_each_stage() -> None:
    found = by_stage(at(), at(60), decided(at()))
    assert tuple(found) == SHOWN
    assert {row.state for row in found.values()} == {"ok"}
    assert {row.note for row in found.values()} == {""}
    assert figures(found["supervise"])["action"] == "healthy"


def test_states_follow_what_is_seen_now_and_not_the_last_decision() -> None:
    lost = decided(at(60, flink=changed(FLINK, job=None, jobs=0)))
    assert lost.decision.acts
    row = by_stage(at(), at(60), lost)["stream"]
    assert (row.state, row.note) == ("ok", "")


def test_the_archive_is_a_stage_with_its_lag() -> None:
    row = by_stage(at(**archived(400, 1_001, 50)), at(60, **archived(100, 1_001, 50)))["archive"]
    assert (row.state, row.lag, row.rate, figures(row)) == ("ok", 600, 5.0, {"last write": 50.0})


def test_what_the_supervisor_repairs_is_said_in_whole_sentences() -> None:
    row = by_stage(at(flink=changed(FLINK, job=None, jobs=0)))["stream"]
    assert row.state == "wrong"
    assert row.note == (
        "no stream job is running; the newest checkpoint is chk-7; "
        "no action needed, the supervisor repairs this: it resumes the job"
    )


def test_rates_are_means_since_the_earlier_look() -> None:
    before = at(
        60, kafka=kafka(raw_end=3_000, gate_lag=0, valid_end=2_000, stream_lag=0), elasticsearch=search(sessions=2_000)
    )
    now = at(kafka=kafka(raw_end=9_000, gate_lag=600, valid_end=8_000, stream_lag=1_200))
    found = by_stage(now, before)
    assert {stage: row.rate for stage, row in found.items()} == pytest.approx(
        {"ingest": 100.0, "gate": 90.0, "stream": 80.0, "serving": 100.0, "archive": 0.0, "supervise": None}
    )
    assert (found["gate"].lag, found["stream"].lag) == (600, 1_200)


def test_a_topic_made_anew_gives_no_negative_rate() -> None:
    found = by_stage(at(kafka=kafka(raw_end=10, valid_end=8)), at(60))
    assert (found["ingest"].rate, found["gate"].rate, found["stream"].rate) == (0, 0, 0)


@pytest.mark.parametrize("earlier", [None, at(60, kafka=AWAY)])
def test_without_an_earlier_look_there_are_no_rates(earlier: Observation | None) -> None:
    assert {row.rate for row in by_stage(at(), earlier).values()} == {None}


@pytest.mark.parametrize(
    ("part", "stage"),
    [("kafka", "ingest"), ("gate", "gate"), ("flink", "stream"), ("elasticsearch", "serving"), ("archive", "archive")],
)
def test_a_part_that_is_away_is_said_to_be_whatever_was_decided(part: str, stage: str) -> None:
    seen = changed(at(), **{part: AWAY})
    found = by_stage(seen, at(60), decided(at()))
    assert (found[stage].state, found[stage].note) == ("away", "refused")
    assert [row.stage for row in found.values() if row.state == "away"] == [stage]
    if part == "kafka":
        assert (found["gate"].lag, found["stream"].lag, figures(found["ingest"])) == (None, None, {"records": None})


def test_a_stage_shows_the_worst_of_its_findings() -> None:
    wait = Finding("wait", "gate.silent", "partition 1", "look")
    page = Finding("page", "gate.lagging", "50000 wait", "more processes")
    seen = at()
    found = by_stage(seen, decision=Decision("wait", "stream.not_running", "idle", "none", (wait, page)))
    assert (found["gate"].state, found["gate"].note) == ("wrong", "50000 wait; more processes")
    assert (found["stream"].state, found["stream"].note) == ("waiting", "idle; none")
    assert found["serving"].state == "ok"


def test_a_lost_job_is_wrong_and_a_partition_never_seen_has_no_age() -> None:
    seen = at(flink=changed(FLINK, job=None, jobs=0), gate=gate(0.2, None))
    found = by_stage(seen, None, decided(seen))
    assert found["stream"].state == "wrong"
    assert figures(found["stream"]) == {"job": None}
    assert figures(found["gate"])["gate.heartbeat_age_s"] is None
    assert list(figures(found["gate"])) == ["gate.heartbeat_age_s", "valid", "duplicate"]


def test_without_a_decision_the_supervisor_is_away() -> None:
    row = by_stage(at())["supervise"]
    assert (row.state, row.figures) == ("away", ())
    assert row.note


def test_figures_of_the_stream_carry_their_units() -> None:
    row = by_stage(at())["stream"]
    assert [(figure["name"], figure["unit"]) for figure in map(asdict, row.figures) if figure["unit"]] == [
        ("stream.checkpoint_age_s", "s"),
        ("stream.restarts", "restarts"),
    ]
