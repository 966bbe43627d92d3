"""Restarts of a lost job on a real cluster: one supervisor, from a restorable checkpoint, within the budget."""

import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import create_autospec

import pytest

from include.clients.airflow import AirflowApi
from include.clients.elasticsearch import connect
from include.clients.flink import FlinkRest
from include.contracts.errors import TerminalError, TransientError
from include.contracts.settings import Settings
from include.serving.templates import ensure_templates
from include.supervise import supervisor
from include.supervise.decision_log import DecisionLog, DecisionRecord, LockLease, supervisor_lock
from include.supervise.observation import Observation
from include.supervise.stream_job import cancel, restore_points, running_job, submit
from include.supervise.supervisor import observe_and_decide, run_cycle
from local.demo.fail_fast import StreamVerdicts
from local.servers.flink import probe_slots
from local.stream_job import job_program, state_folder, wait_started
from tests.polling import eventually

pytestmark = pytest.mark.usefixtures("no_stream")

PATIENCE_S = 120.0
WINDOW_S = 900.0


def templates(settings: Settings) -> Callable[[], None]:
    def prepare() -> None:
        with connect(settings.elasticsearch) as client:
            ensure_templates(client, settings.elasticsearch)

    return prepare


def once(settings: Settings, prepare: Callable[[], None]) -> DecisionRecord:
    """Run one full supervision cycle."""
    return run_cycle(settings, job_program(), state_folder(settings.local), prepare=prepare, on_progress=lambda _: None)


def starts(settings: Settings) -> int:
    with DecisionLog(settings.redis) as retained:
        return len(retained.restarts_since(time.time() - WINDOW_S))


def jobs(settings: Settings) -> int:
    """Return all jobs that the cluster has ever had."""
    with FlinkRest(settings.flink) as flink:
        return len(flink.jobs())


def lose_job(settings: Settings) -> None:
    """Cancel the job, and wait until its slots are free again, which can take a while on a busy cluster."""
    with FlinkRest(settings.flink) as flink:
        cancel(flink, PATIENCE_S)
    eventually(lambda: probe_slots(settings.local) is None, PATIENCE_S)


class Late:
    """Ids of the decision log, for a caller that read it before another submission succeeded."""

    def __init__(self, turn: LockLease, meanwhile: Callable[[], None]) -> None:
        self.job_id, self.spend, self.extend = turn.job_id, turn.spend, meanwhile


def test_submit_after_a_timeout_of_the_first_leaves_one_job(
    decision_log: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    templates(decision_log)()
    existing = jobs(decision_log)
    with supervisor_lock(decision_log.redis) as turn, FlinkRest(decision_log.flink) as flink:
        assert turn is not None

        def lose_answer() -> None:
            with monkeypatch.context() as impatient, pytest.raises(TransientError, match="ReadTimeout"):
                impatient.setattr("include.clients.flink.RUN_TIMEOUT_S", 0.5)
                submit(flink, job_program(), None, turn)
            eventually(lambda: running_job(flink), PATIENCE_S)

        # The second caller saw no job when the first one submits; only Flink can refuse its submission.
        with pytest.raises(TerminalError, match="already exists"):
            submit(flink, job_program(), None, Late(turn, lose_answer))
    assert jobs(decision_log) == existing + 1
    lose_job(decision_log)


def test_run_cycle_by_two_supervisors_submits_once(decision_log: Settings) -> None:
    existing = jobs(decision_log)
    stale = observe_and_decide(decision_log, state_folder(decision_log.local))
    assert (stale.decision.action, stale.decision.alert) == ("submit", "stream.no_job"), stale
    others: list[DecisionRecord] = []

    def other() -> None:
        raise AssertionError("two supervisors act at once")

    def prepare() -> None:
        # The first caller has the lock and has started nothing yet: a full cycle of a second one runs here.
        with ThreadPoolExecutor(1) as elsewhere:
            others.append(elsewhere.submit(once, decision_log, other).result(PATIENCE_S))
        templates(decision_log)()

    first = once(decision_log, prepare)
    assert first.outcome is not None
    assert "runs, started without a state" in first.outcome, first
    assert [(record.decision.action, record.decision.reason) for record in others] == [
        ("wait", "another supervisor has the lock")
    ]
    assert (starts(decision_log), jobs(decision_log)) == (1, existing + 1)


def test_run_cycle_with_an_outdated_decision_does_not_restart(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    existing, begun = jobs(settings), starts(settings)
    with DecisionLog(settings.redis) as retained:
        stale = next(record for record in retained.last(10) if record.decision.should_restart)
    taken: list[DecisionRecord] = []

    def first_stale(settings: Settings, state: Path, earlier: Sequence[Observation] = ()) -> DecisionRecord:
        taken.append(observe_and_decide(settings, state, earlier) if taken else stale)
        return taken[-1]

    monkeypatch.setattr(supervisor, "observe_and_decide", first_stale)
    record = once(settings, templates(settings))
    assert not record.decision.should_restart
    assert len(taken) == 2
    assert (jobs(settings), starts(settings)) == (existing, begun)


def test_run_cycle_with_a_broken_checkpoint_resumes_the_older_one(settings: Settings) -> None:
    state = state_folder(settings.local)
    eventually(lambda: len(restore_points(state)) >= 2, PATIENCE_S)
    lose_job(settings)
    newest, older = restore_points(state)[:2]
    (newest.path / "_metadata").write_bytes(b"broken")
    record = once(settings, templates(settings))
    assert (record.decision.action, record.decision.alert) == ("resume", "stream.no_job"), record
    assert record.outcome is not None
    assert (
        f"runs, started from {older.path}; older than the newest, which failed: from {newest.path}: " in record.outcome
    )
    assert starts(settings) == 2
    with FlinkRest(settings.flink) as flink:
        running = running_job(flink)
        assert running is not None
        assert flink.checkpoints(running.jid).counts.restored == 1


def test_run_cycle_at_the_restart_limit_pages(settings: Settings) -> None:
    lose_job(settings)
    existing = jobs(settings)
    record = once(settings.replace(supervise={"max_restarts": 2}), templates(settings))
    assert (record.decision.action, record.decision.alert) == ("page", "stream.restart_limit_reached"), record
    assert (jobs(settings), starts(settings)) == (existing, 2)


def test_run_cycle_without_a_restorable_checkpoint_pages(settings: Settings) -> None:
    newest, *others = restore_points(state_folder(settings.local))
    for point in others:
        shutil.rmtree(point.path)
    (newest.path / "_metadata").write_bytes(b"broken")
    record = once(settings, templates(settings))
    assert (record.decision.action, record.decision.alert) == ("page", "stream.start_failed"), record
    assert str(newest.path) in record.decision.reason
    with FlinkRest(settings.flink) as flink:
        assert running_job(flink) is None


def test_wait_started_after_a_terminal_verdict_ends_at_once_with_its_reason(settings: Settings) -> None:
    # The verdict is that of the previous test; Airflow is not queried after a verdict of the supervisor.
    airflow = create_autospec(AirflowApi)
    verdicts = StreamVerdicts(settings.redis, airflow, "supervise_stream", time.time() - WINDOW_S)
    with pytest.raises(TerminalError, match=r"start of the stream failed: stream\.start_failed: from "):
        wait_started(settings.flink, PATIENCE_S, verdicts.check)
    airflow.runs.assert_not_called()
