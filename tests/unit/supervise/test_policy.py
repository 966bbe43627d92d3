"""The decision table of the policy: earlier and present observations, and the expected decision."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace as changed

from include.supervise.alerts import ALERTS, resolvable_alerts
from include.supervise.observation import PARTS, Observation, Unavailable
from include.supervise.policy import decide
from tests.unit.supervise.factories import (
    FLINK,
    GATE,
    LIMITS,
    NEVER,
    NOW,
    SEARCH,
    admitted,
    archived,
    at,
    cluster,
    for_long,
    gate,
    kafka,
    search,
)

UNAVAILABLE = Unavailable("refused")
NO_JOB = changed(FLINK, job=None, jobs=0)
NO_TASKMANAGER = changed(FLINK, taskmanagers=0, slots=0, free_slots=0)
IDLE = cluster(idle_tasks={"SCHEDULED": 3})
STALLED = cluster(checkpoint_age_s=500.0)
NEARLY_FULL = changed(GATE, redis_memory_ratio=0.81)
BLOCKED = search(write_block="session_summary-2026.11: index.blocks.read_only_allow_delete")

EMPTY = search(sessions=0, newest_id=None, newest_at=None)
MOVING: dict[str, dict[str, Any]] = {
    "documents become searchable": {"elasticsearch": search(sessions=8_001)},
    "Elasticsearch rejects writes": {"elasticsearch": search(rejections=1)},
    "Elasticsearch is at its shard limit": {"elasticsearch": search(has_reached_shard_limit=True)},
    "committed offsets move": {"kafka": kafka(stream_read=7_999)},
}


class Case(NamedTuple):
    """One row: after `before`, and restarts so many seconds ago, `now` requires `action` and `alert`."""

    what: str
    now: dict[str, Any]
    action: str
    alert: str
    before: Sequence[Observation] = ()
    starts: Sequence[float] = ()


TABLE = [
    # the stream's cluster
    Case("all is well", {}, "healthy", "supervise.healthy"),
    Case("all has been well", {}, "healthy", "supervise.healthy", for_long()),
    Case("no cluster, seen once", {"flink": UNAVAILABLE}, "wait", "flink.unreachable"),
    Case(
        "no cluster for less than the grace",
        {"flink": UNAVAILABLE},
        "wait",
        "flink.unreachable",
        for_long(40, flink=UNAVAILABLE),
    ),
    Case(
        "no cluster for the grace", {"flink": UNAVAILABLE}, "page", "flink.unreachable", for_long(60, flink=UNAVAILABLE)
    ),
    Case(
        "no cluster, again after it was there",
        {"flink": UNAVAILABLE},
        "wait",
        "flink.unreachable",
        [*for_long(200, flink=UNAVAILABLE), at(10)],
    ),
    Case(
        "no cluster, and yesterday too",
        {"flink": UNAVAILABLE},
        "wait",
        "flink.unreachable",
        [at(86_400, flink=UNAVAILABLE), at(80_000, flink=UNAVAILABLE)],
    ),
    Case("no TaskManager", {"flink": NO_TASKMANAGER}, "wait", "stream.no_taskmanager"),
    Case(
        "no TaskManager for long",
        {"flink": NO_TASKMANAGER},
        "page",
        "stream.no_taskmanager",
        for_long(flink=NO_TASKMANAGER),
    ),
    Case(
        "no TaskManager and no job: a job could not run",
        {"flink": changed(NO_TASKMANAGER, job=None, jobs=0)},
        "wait",
        "stream.no_taskmanager",
    ),
    # no job
    Case("no job, with a checkpoint", {"flink": NO_JOB}, "resume", "stream.no_job"),
    Case("no job, and there never was one", {"flink": NO_JOB, "restore": NEVER}, "submit", "stream.no_job"),
    Case("no job, checkpoints unreadable", {"flink": NO_JOB, "restore": UNAVAILABLE}, "page", "stream.restore_unknown"),
    Case("no job, two starts lately", {"flink": NO_JOB}, "resume", "stream.no_job", starts=[600, 300]),
    Case(
        "no job, the budget is spent", {"flink": NO_JOB}, "page", "stream.restart_limit_reached", starts=[600, 300, 100]
    ),
    Case("no job, the starts are long ago", {"flink": NO_JOB}, "resume", "stream.no_job", starts=[2_000, 1_500, 901]),
    Case(
        "no job, the clock was set back after starts",
        {"flink": NO_JOB},
        "page",
        "stream.restart_limit_reached",
        starts=[-500, -400, -300],
    ),
    Case("no job, Kafka unavailable", {"flink": NO_JOB, "kafka": UNAVAILABLE}, "wait", "kafka.unreachable"),
    Case(
        "no job, Elasticsearch unavailable",
        {"flink": NO_JOB, "elasticsearch": UNAVAILABLE},
        "wait",
        "elasticsearch.unreachable",
    ),
    Case(
        "no job, Elasticsearch refuses",
        {"flink": NO_JOB, "elasticsearch": BLOCKED},
        "wait",
        "elasticsearch.write_blocked",
    ),
    Case("no job, the gate is silent too", {"flink": NO_JOB, "gate": gate(90, 90)}, "resume", "stream.no_job"),
    Case("two jobs", {"flink": changed(FLINK, jobs=2)}, "page", "stream.duplicate_job"),
    # a job that is not running
    Case("tasks do not run yet", {"flink": IDLE}, "wait", "stream.not_running"),
    Case(
        "RUNNING with a dead TaskManager, within the grace",
        {"flink": IDLE},
        "wait",
        "stream.not_running",
        for_long(40, flink=IDLE),
    ),
    Case("tasks do not run for the grace", {"flink": IDLE}, "resume", "stream.not_running", for_long(60, flink=IDLE)),
    Case(
        "tasks did not run, of another job",
        {"flink": IDLE},
        "wait",
        "stream.not_running",
        for_long(100, flink=cluster(id="j0", idle_tasks={"SCHEDULED": 3})),
    ),
    Case(
        "tasks do not run, the budget is spent",
        {"flink": IDLE},
        "page",
        "stream.restart_limit_reached",
        for_long(60, flink=IDLE),
        [300, 200, 100],
    ),
    Case("RESTARTING", {"flink": cluster(state="RESTARTING")}, "wait", "stream.not_running"),
    Case(
        "restarting again and again",
        {"flink": cluster(restarts=7, failure="java.Boom")},
        "page",
        "stream.restarting",
        [at(40, flink=cluster(restarts=4)), at(20, flink=cluster(restarts=6))],
    ),
    Case(
        "a new job that restarts again and again, seen once",
        {"flink": cluster(restarts=4, age_s=50.0)},
        "page",
        "stream.restarting",
    ),
    Case(
        "restarts an hour ago",
        {"flink": cluster(restarts=40)},
        "healthy",
        "supervise.healthy",
        for_long(flink=cluster(restarts=40)),
    ),
    Case("restarts of an old job, seen once", {"flink": cluster(restarts=40)}, "healthy", "supervise.healthy"),
    Case(
        "restarts that are over",
        {"flink": cluster(restarts=9)},
        "healthy",
        "supervise.healthy",
        [at(500, flink=cluster(restarts=1)), *for_long(240, flink=cluster(restarts=9))],
    ),
    # checkpoints
    Case(
        "a young job without a checkpoint",
        {"flink": cluster(age_s=30.0, checkpoint_age_s=None)},
        "healthy",
        "supervise.healthy",
    ),
    Case("checkpoints stalled", {"flink": STALLED}, "resume", "stream.checkpoints_stalled", for_long(flink=STALLED)),
    Case(
        "never a checkpoint",
        {"flink": cluster(age_s=700.0, checkpoint_age_s=None, checkpoints=0)},
        "resume",
        "stream.checkpoints_stalled",
        for_long(),
    ),
    Case(
        "checkpoints stalled while Elasticsearch is unavailable: a start would not help",
        {"flink": STALLED, "elasticsearch": UNAVAILABLE},
        "page",
        "elasticsearch.unreachable",
        for_long(flink=STALLED, elasticsearch=UNAVAILABLE),
    ),
    Case(
        "checkpoints stalled, Elasticsearch is just back",
        {"flink": STALLED},
        "wait",
        "stream.checkpoints_stalled",
        [*for_long(300, flink=STALLED, elasticsearch=UNAVAILABLE)[:-1], at(20, flink=STALLED)],
    ),
    # slow, not stuck
    *(
        Case(
            f"checkpoints stalled, but {what}",
            {"flink": STALLED, **now},
            "wait",
            "stream.slow",
            for_long(flink=STALLED),
        )
        for what, now in MOVING.items()
    ),
    Case(
        "checkpoints stalled, but operators pass records on",
        {"flink": cluster(checkpoint_age_s=500.0, records=11)},
        "wait",
        "stream.slow",
        for_long(flink=cluster(checkpoint_age_s=400.0, records=10)),
    ),
    Case(
        "checkpoints stalled, and the operators' counters stand still",
        {"flink": cluster(checkpoint_age_s=500.0, records=10)},
        "resume",
        "stream.checkpoints_stalled",
        for_long(flink=cluster(checkpoint_age_s=400.0, records=10)),
    ),
    Case(
        "checkpoints stalled, and what moved was another job",
        {"flink": cluster(checkpoint_age_s=500.0, records=10)},
        "resume",
        "stream.checkpoints_stalled",
        for_long(flink=cluster(id="j0", checkpoint_age_s=400.0, records=5)),
    ),
    Case(
        "slow for many times the limit",
        {"flink": cluster(checkpoint_age_s=601.0), "elasticsearch": search(sessions=8_001)},
        "page",
        "stream.slow",
        for_long(flink=STALLED),
    ),
    Case(
        "checkpoints stalled again after a start: longer than at first",
        {"flink": cluster(checkpoint_age_s=230.0)},
        "page",
        "stream.checkpoints_stalled",
        for_long(flink=STALLED),
        starts=[400],
    ),
    Case(
        "checkpoints stalled again for twice the limit",
        {"flink": cluster(checkpoint_age_s=250.0)},
        "resume",
        "stream.checkpoints_stalled",
        for_long(flink=STALLED),
        starts=[400],
    ),
    # the archive
    Case("MongoDB unavailable", {"archive": UNAVAILABLE}, "wait", "archive.unreachable"),
    Case(
        "MongoDB down for long",
        {"archive": UNAVAILABLE},
        "page",
        "archive.unreachable",
        for_long(archive=UNAVAILABLE),
    ),
    Case("an observation of a version without the archive", {"archive": None}, "healthy", "supervise.healthy"),
    Case(
        "the archive falls behind from run to run",
        archived(3_000_000, 5_000_000, 10),
        "page",
        "archive.lagging",
        [at(901, **archived(0, 1_500_000, 10)), at(300, **archived(1_000_000, 2_500_000, 10))],
    ),
    Case(
        "a run of the archive is due after a burst",
        archived(3_000_000, 5_000_000, 10),
        "healthy",
        "supervise.healthy",
        [at(901, **archived(0, 1_500_000, 10)), at(300, **archived(2_499_000, 2_500_000, 10))],
    ),
    Case(
        "the archive catches up",
        archived(3_000_000, 5_000_000, 10),
        "healthy",
        "supervise.healthy",
        [at(901, **archived(0, 4_000_000, 10))],
    ),
    Case(
        "nothing is archived any more",
        archived(100, 500, 2_000),
        "page",
        "archive.lagging",
        [at(901, **archived(100, 200, 2_000))],
    ),
    Case(
        "the archive has nothing to do",
        archived(100, 101, 2_000),
        "healthy",
        "supervise.healthy",
        [at(901, **archived(100, 101, 2_000))],
    ),
    Case("a job of the future", {"flink": cluster(age_s=-900.0)}, "wait", "stream.clock_skew"),
    Case("a checkpoint of the future", {"flink": cluster(checkpoint_age_s=-60.0)}, "wait", "stream.clock_skew"),
    Case("an age that is no number", {"flink": cluster(age_s=float("nan"))}, "wait", "stream.clock_skew"),
    # the gate
    Case("Redis without a limit", {"gate": changed(GATE, redis_memory_ratio=None)}, "healthy", "supervise.healthy"),
    Case("Redis below its limit", {"gate": changed(GATE, redis_memory_ratio=0.79)}, "healthy", "supervise.healthy"),
    Case("Redis nearly full", {"gate": NEARLY_FULL}, "wait", "gate.redis_memory_high"),
    Case(
        "Redis nearly full for long",
        {"gate": NEARLY_FULL},
        "page",
        "gate.redis_memory_high",
        for_long(gate=NEARLY_FULL),
    ),
    Case("Redis unavailable", {"gate": UNAVAILABLE}, "wait", "gate.redis_unreachable"),
    Case(
        "Redis down for long",
        {"gate": UNAVAILABLE},
        "page",
        "gate.redis_unreachable",
        for_long(gate=UNAVAILABLE),
    ),
    Case("one partition is silent", {"gate": gate(0.2, 45.0)}, "wait", "gate.heartbeat_missing"),
    Case(
        "one partition is silent for long",
        {"gate": gate(0.2, 99.0)},
        "page",
        "gate.heartbeat_missing",
        for_long(gate=gate(0.2, 45.0)),
    ),
    Case(
        "a partition no gate ever looked at",
        {"gate": gate(0.2, None)},
        "page",
        "gate.heartbeat_missing",
        for_long(gate=gate(0.2, None)),
    ),
    Case(
        "a partition whose offsets are lost",
        {"gate": changed(GATE, stopped={1: "partition 1: offsets 3 to 8 deleted before the gate read them"})},
        "page",
        "gate.partition_stopped",
    ),
    Case("a heartbeat of the future", {"gate": gate(-300.0, 0.1)}, "wait", "supervise.clock_skew"),
    Case("a burst waits for the gate", {"kafka": kafka(gate_lag=50_000)}, "wait", "gate.lagging"),
    Case(
        "the gate catches up",
        {"kafka": kafka(gate_lag=50_000)},
        "healthy",
        "supervise.healthy",
        for_long(kafka=kafka(gate_lag=90_000)),
    ),
    Case(
        "the gate falls behind",
        {"kafka": kafka(gate_lag=50_000)},
        "page",
        "gate.lagging",
        for_long(kafka=kafka(gate_lag=30_000)),
    ),
    # the stream's lag and output
    Case(
        "the stream falls behind",
        {"kafka": kafka(stream_lag=80_000)},
        "page",
        "stream.lagging",
        for_long(kafka=kafka(stream_lag=30_000)),
    ),
    Case(
        "a burst after a quiet time",
        {"kafka": kafka(stream_lag=80_000)},
        "wait",
        "stream.lagging",
        for_long(kafka=kafka(stream_lag=4)),
    ),
    Case(
        "a lag that is small and grows",
        {"kafka": kafka(stream_lag=19_000)},
        "healthy",
        "supervise.healthy",
        for_long(kafka=kafka(stream_lag=10)),
    ),
    Case("Kafka unavailable", {"kafka": UNAVAILABLE}, "wait", "kafka.unreachable"),
    Case("Elasticsearch unavailable", {"elasticsearch": UNAVAILABLE}, "wait", "elasticsearch.unreachable"),
    Case(
        "Elasticsearch down for long",
        {"elasticsearch": UNAVAILABLE},
        "page",
        "elasticsearch.unreachable",
        for_long(elasticsearch=UNAVAILABLE),
    ),
    Case(
        "Elasticsearch's disk is full",
        {"elasticsearch": BLOCKED},
        "page",
        "elasticsearch.write_blocked",
        for_long(elasticsearch=BLOCKED),
    ),
    Case("documents were refused", {"kafka": kafka(dead_end=3)}, "page", "serving.dead_letters", for_long()),
    Case("documents were refused before anyone looked", {"kafka": kafka(dead_end=3)}, "healthy", "supervise.healthy"),
    Case(
        "the newest session is old while input flows",
        admitted(9_000),
        "page",
        "serving.stale_data",
        [at(150, **admitted(8_000)), at(90, **admitted(8_500)), at(30, **admitted(8_900))],
    ),
    Case(
        "no session ever became searchable while input flows",
        {**admitted(900), "elasticsearch": EMPTY},
        "page",
        "serving.stale_data",
        [
            at(150, **admitted(0), elasticsearch=EMPTY),
            at(90, **admitted(500), elasticsearch=EMPTY),
        ],
    ),
    Case(
        "only offsets of an aborted transaction were added, then silence",
        {"kafka": kafka(valid_end=8_501)},
        "healthy",
        "supervise.healthy",
        [at(150), at(90, kafka=kafka(valid_end=8_501)), at(30, kafka=kafka(valid_end=8_501))],
    ),
    Case(
        "the gate counted a batch whose transaction was aborted, then silence",
        {"kafka": kafka(valid_end=8_501), "gate": admitted(8_500)["gate"]},
        "healthy",
        "supervise.healthy",
        [at(150), at(90, kafka=kafka(valid_end=8_501), gate=admitted(8_500)["gate"])],
    ),
    Case(
        "sessions were admitted while the gate's counters could not be read",
        admitted(9_000),
        "healthy",
        "supervise.healthy",
        [at(150, gate=UNAVAILABLE), at(90, **admitted(8_500))],
    ),
    Case(
        "sessions of a slow partition become searchable",
        {**admitted(9_000), "elasticsearch": search(sessions=8_200)},
        "healthy",
        "supervise.healthy",
        [at(150, **admitted(8_000)), at(90, **admitted(8_500))],
    ),
    Case(
        "the first sessions after an idle night",
        {"kafka": kafka(valid_end=8_100), "elasticsearch": search(newest_at=NOW - 30_000)},
        "healthy",
        "supervise.healthy",
        for_long(280, elasticsearch=search(newest_at=NOW - 30_000), input_flowing=False),
    ),
    Case(
        "an idle night",
        {"elasticsearch": search(newest_at=NOW - 30_000), "input_flowing": False},
        "healthy",
        "supervise.healthy",
        for_long(280, elasticsearch=search(newest_at=NOW - 30_000), input_flowing=False),
    ),
    Case("a session of the future", {"elasticsearch": search(newest_at=NOW + 900)}, "wait", "supervise.clock_skew"),
    Case(
        "checkpoints cannot be read while the stream runs", {"restore": UNAVAILABLE}, "wait", "stream.restore_unknown"
    ),
    Case(
        "all servers unavailable",
        {
            "flink": UNAVAILABLE,
            "kafka": UNAVAILABLE,
            "gate": UNAVAILABLE,
            "elasticsearch": UNAVAILABLE,
            "restore": UNAVAILABLE,
        },
        "wait",
        "flink.unreachable",
    ),
]


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.what)
def test_policy(case: Case) -> None:
    starts = [NOW - ago for ago in case.starts]
    decision = decide(at(**case.now), case.before, starts, LIMITS, NOW)
    assert (decision.action, decision.alert) == (case.action, case.alert), decision
    assert {finding.alert for finding in decision.findings} <= ALERTS.keys()
    assert all(finding.reason and finding.remedy for finding in decision.findings)


def test_decide_prefers_a_page_to_a_wait() -> None:
    seen = at(gate=gate(0.1, 40.0), kafka=kafka(dead_end=1))
    decision = decide(seen, for_long(), (), LIMITS, NOW)
    assert [finding.alert for finding in decision.findings] == ["serving.dead_letters", "gate.heartbeat_missing"]
    assert [finding.alert for finding in decision.alerts] == ["serving.dead_letters"]


def test_decide_ignores_order_and_future_of_the_history() -> None:
    before = for_long(60, flink=UNAVAILABLE)
    future = at(-3_600, flink=FLINK, elasticsearch=SEARCH)
    forward = decide(at(flink=UNAVAILABLE), before, (), LIMITS, NOW)
    assert decide(at(flink=UNAVAILABLE), [future, *reversed(before)], (), LIMITS, NOW) == forward


@pytest.mark.parametrize("part", PARTS)
def test_alert_with_an_unavailable_source_is_not_resolvable(part: str) -> None:
    for case in TABLE:
        seen = at(0, **case.now)
        starts = [NOW - ago for ago in case.starts]
        for finding in decide(seen, case.before, starts, LIMITS, NOW).alerts:
            reduced = changed(seen, **{part: UNAVAILABLE})
            remaining = {finding.alert for finding in decide(reduced, case.before, starts, LIMITS, NOW).findings}
            assert finding.alert in remaining or finding.alert not in resolvable_alerts(reduced.unavailable), (
                case.what,
                finding.alert,
            )


def test_alert_with_an_available_source_is_resolvable_while_another_is_unavailable() -> None:
    assert {"gate.heartbeat_missing", "gate.lagging"} <= set(resolvable_alerts(["archive", "restore"]))
    assert set(resolvable_alerts([])) == set(ALERTS)


def test_remedy_of_a_stopped_partition_resumes_from_the_gap() -> None:
    seen = at(0, gate=changed(GATE, stopped={1: "partition 1: offsets are lost"}))
    assert "gate resume --partition 1 --from gap" in decide(seen, (), (), LIMITS, NOW).remedy
