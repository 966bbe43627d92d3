"""Kill -9 of each part in mid-stream: nothing is lost, nothing is there twice."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from include.contracts.settings import Settings
from include.ingest.generator import synthesize
from include.ingest.labelled_record import VALID, LabelledRecord
from include.ingest.plan import Plan
from include.ingest.publisher import publish
from include.serving import queries
from include.serving.client import connect
from local.stack import Stack
from local.stream_job import resume_job
from local.verification.count_check import Baseline, take_baseline
from tests.e2e.checks import assert_accounted, assert_kpis
from tests.polling import eventually

SESSIONS = 3_000
RATE = 250.0
KILL_AFTER = 200


def _kill(victim: str) -> Callable[[Stack], None]:
    def kill(stack: Stack) -> None:
        """Until the supervisor's new process answers; what it stands for goes on by itself."""
        stack.kill(victim)
        stack.wait([victim])

    return kill


def _kill_jobmanager(stack: Stack) -> None:
    """A standalone JobManager forgets its jobs: the job must be resumed from the newest checkpoint."""
    stack.kill("flink-jobmanager")
    stack.wait(["flink-jobmanager"])
    _, restored = resume_job(stack.settings)
    assert restored is not None


VICTIMS: dict[str, Callable[[Stack], None]] = {
    "gate": _kill("gate-0"),
    "redis": _kill("redis"),
    "kafka": _kill("kafka"),
    "elasticsearch": _kill("elasticsearch"),
    "taskmanager": _kill("flink-taskmanager"),
    "jobmanager": _kill_jobmanager,
}


@pytest.mark.parametrize("victim", VICTIMS)
def test_kill_in_mid_stream(platform: Stack, live: Settings, victim: str) -> None:
    week = 1 + list(VICTIMS).index(victim)
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(weeks=week)
    plan = Plan.of(live, seed=21, start=start, end=start + timedelta(hours=12), sessions=SESSIONS)
    labelled_records: list[LabelledRecord] = list(synthesis := synthesize(plan))
    since = take_baseline(live)
    halves = labelled_records[: len(labelled_records) // 2], labelled_records[len(labelled_records) // 2 :]
    indexed = 0
    for half in halves:
        goal = indexed + sum(labelled.verdict == VALID for labelled in half)
        with ThreadPoolExecutor(1) as background:
            published = background.submit(publish, live, half, rate=RATE)
            done = eventually(partial(_indexed_beyond, live, since, indexed + KILL_AFTER), within_s=120)
            assert done < goal, "the kill must hit in mid-stream"
            VICTIMS[victim](platform)
            assert published.result().acknowledged == len(half)
        indexed = eventually(partial(_indexed_beyond, live, since, goal), within_s=180)
    assert_accounted(live, synthesis.ground_truth.expected, since)
    assert_kpis(live, labelled_records)


def _indexed_beyond(settings: Settings, since: Baseline, goal: int) -> int:
    """Sessions indexed since a position; 0 while they are fewer than the goal."""
    with connect(settings) as client:
        done = queries.count(client, "session_summary") - since.documents["session_summary"]
    return done if done >= goal else 0
