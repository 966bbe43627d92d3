"""What a round and a reconciled hour tell the Pipeline dashboard."""

from datetime import UTC, datetime

from include.contracts.documents import PipelineEvent
from include.supervise.alerts import ALARMS
from include.supervise.events import LONGEST_DETAIL, difference, of_archive, of_hour, of_round
from include.supervise.decision_log import Entry
from include.supervise.observation import Away, Gate, Observation, Search
from include.supervise.policy import Decision, Finding, decide
from include.supervise.reconcile import Line, Reconciliation
from tests.unit.supervise.factories import LIMITS, NOW, at, kafka

HOUR = datetime(2026, 11, 23, 8, tzinfo=UTC)
Told = dict[tuple[str, str, str], tuple[float, float | None]]


def told(events: list[PipelineEvent]) -> Told:
    return {(event.kind, event.stage, event.name): (event.value, event.total) for event in events}


def round_of(seen: Observation, outcome: str | None = None) -> Entry:
    return Entry(NOW, seen, decide(seen, (), (), LIMITS, NOW), outcome=outcome)


def test_a_healthy_round_tells_every_count_lag_and_the_decision() -> None:
    gate = Gate(heartbeat_age_s={0: 0.5}, verdicts={"valid": 8_000, "duplicate": 900, "blocked_user": 100})
    events = of_round(round_of(at(gate=gate, kafka=kafka(gate_lag=30, dead_end=4))), ())
    assert told(events) == {
        ("stage", "ingest", "raw"): (0, 9_000),
        ("stage", "gate", "decided"): (0, 8_970),
        ("stage", "gate", "valid"): (0, 8_000),
        ("stage", "gate", "rejected"): (0, 1_000),
        ("stage", "stream", "searchable"): (0, 8_000),
        ("rejected", "gate", "blocked_user"): (0, 100),
        ("rejected", "gate", "duplicate"): (0, 900),
        ("dead", "stream", "documents.dead"): (0, 4),
        ("lag", "gate", "gate"): (30, None),
        ("lag", "stream", "stream"): (2, None),
        ("decision", "supervise", "healthy"): (1, None),
    }
    assert {event.at for event in events} == {datetime.fromtimestamp(NOW, UTC)}


def test_what_is_away_is_left_out_and_is_never_nothing() -> None:
    gone = Away("no answer")
    events = of_round(round_of(at(kafka=gone, gate=gone, elasticsearch=gone, flink=gone)), ())
    assert {event.kind for event in events} <= {"decision", "alarm"}
    assert [event.name for event in events if event.kind == "decision"] == ["wait"]


def test_sessions_that_could_not_be_counted_are_not_told_as_none() -> None:
    red = Search(health="red", refusing="a shard is missing", sessions=0, newest_id=None, newest_at=None)
    events = of_round(round_of(at(elasticsearch=red)), ())
    assert ("stage", "stream", "searchable") not in told(events)
    assert ("stage", "ingest", "raw") in told(events)


def test_a_balanced_hour_tells_of_each_stage() -> None:
    line = of_hour(Reconciliation(HOUR, (Line(stage="gate", what="admitted", expected=90, found=90),)))[0]
    assert (line.at, line.kind, line.stage, line.name, line.detail) == (
        HOUR,
        "reconciled",
        "gate",
        "admitted",
        "balanced",
    )


def test_alarms_are_what_people_are_told_of_by_the_stage_in_their_name() -> None:
    pages = [Finding("page", identity, f"why\n {identity}", "see there") for identity in ALARMS]
    waits = Finding("wait", "gate.lagging", "some", "none")
    decision = Decision("page", pages[0].alarm, pages[0].reason, "see there", (*pages[1:], waits))
    entry = Entry(NOW, at(), decision)
    events = [event for event in of_round(entry, ()) if event.kind == "alarm"]
    assert [(event.stage, event.name, event.detail) for event in events] == [
        (identity.split(".")[0], identity, f"why {identity}") for identity in ALARMS
    ]
    assert not [event for event in of_round(entry, ALARMS) if event.kind == "alarm"]


def test_a_decision_says_why_and_what_came_of_it_in_one_bounded_line() -> None:
    entry = round_of(at(), outcome="job j2 runs\nstarted " + "x" * 2_000)
    (event,) = [event for event in of_round(entry, ()) if event.kind == "decision"]
    assert event.detail is not None
    assert event.detail.startswith("supervise.healthy: the job runs")
    assert "; job j2 runs started x" in event.detail
    assert len(event.detail) == LONGEST_DETAIL


def test_an_hour_tells_each_stage_and_what_the_archive_holds() -> None:
    lines = (
        Line(stage="gate", what="admitted", expected=90, found=88),
        Line(stage="stream", what="session_summary", expected=88, found=89, dead=1),
        Line(stage="archive", what="in MongoDB", expected=88, found=70, in_flight=25),
    )
    now = HOUR.replace(hour=9, minute=20)
    events = [*of_hour(Reconciliation(HOUR, lines)), *of_archive(4_000, 25, now)]
    assert [(event.at, event.stage, event.name, event.value, event.total, event.detail) for event in events] == [
        (HOUR, "gate", "admitted", -2, 90, "different"),
        (HOUR, "stream", "session_summary", 2, 88, "different"),
        (HOUR, "archive", "in MongoDB", -18, 88, "pending"),
        (now, "archive", "archived", 0, 4_000, None),
        (now, "archive", "archive", 25, None, None),
    ]
    assert difference("reconcile.difference", "x\n y", now).detail == "x y"
