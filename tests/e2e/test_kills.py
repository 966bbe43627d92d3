"""Kill -9 of each program under load: no session is lost or duplicated."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from include.clients.elasticsearch import connect
from include.contracts.settings import Settings
from include.ingest.generator import synthesize
from include.ingest.labelled_record import VALID, LabelledRecord
from include.ingest.plan import Plan
from include.ingest.publisher import publish
from include.serving import queries
from local.stack import Stack
from local.stream_job import resume_job
from local.verification.count_check import Baseline, take_baseline
from tests.e2e.checks import assert_counts_match, assert_kpis
from tests.polling import eventually

SESSIONS = 3_000
RATE = 250.0
KILL_AFTER = 200


def _build_kill(program: str) -> Callable[[Stack], None]:
    def kill(stack: Stack) -> None:
        """Kill the program and wait until supervisord's new process is ready."""
        stack.kill(program)
        stack.wait([program])

    return kill


def _kill_jobmanager(stack: Stack) -> None:
    """Kill the JobManager and resume the job from the newest checkpoint, because a new JobManager has no jobs."""
    stack.kill("flink-jobmanager")
    stack.wait(["flink-jobmanager"])
    _, restored = resume_job(stack.settings)
    assert restored is not None


KILLS: dict[str, Callable[[Stack], None]] = {
    "gate": _build_kill("gate-0"),
    "redis": _build_kill("redis"),
    "kafka": _build_kill("kafka"),
    "elasticsearch": _build_kill("elasticsearch"),
    "taskmanager": _build_kill("flink-taskmanager"),
    "jobmanager": _kill_jobmanager,
}


@pytest.mark.parametrize("program", KILLS)
def test_kill_under_load_loses_and_duplicates_no_session(platform: Stack, live: Settings, program: str) -> None:
    week = 1 + list(KILLS).index(program)
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(weeks=week)
    plan = Plan.of(live, seed=21, start=start, end=start + timedelta(hours=12), sessions=SESSIONS)
    labelled_records: list[LabelledRecord] = list(synthesis := synthesize(plan))
    since = take_baseline(live)
    halves = labelled_records[: len(labelled_records) // 2], labelled_records[len(labelled_records) // 2 :]
    indexed = 0
    for half in halves:
        goal = indexed + sum(labelled.verdict == VALID for labelled in half)
        with ThreadPoolExecutor(1) as background:
            published = background.submit(publish, live.kafka, half, rate=RATE)
            indexed_at_kill = eventually(partial(_indexed_beyond, live, since, indexed + KILL_AFTER), within_s=120)
            assert indexed_at_kill < goal, "the kill must occur under load"
            KILLS[program](platform)
            assert published.result().acknowledged == len(half)
        indexed = eventually(partial(_indexed_beyond, live, since, goal), within_s=180)
    assert_counts_match(live, synthesis.ground_truth.expected, since)
    assert_kpis(live, labelled_records)


def _indexed_beyond(settings: Settings, since: Baseline, goal: int) -> int:
    """Sessions indexed since a position; 0 while they are fewer than the goal."""
    with connect(settings.elasticsearch) as client:
        indexed = queries.count(client, "session_summary") - since.documents["session_summary"]
    return indexed if indexed >= goal else 0
