"""Terminal verdicts end a wait; any other verdict does not."""

from datetime import UTC, datetime

import pytest

from include.clients.airflow import broken_dag
from include.supervise.decision_log import DecisionRecord
from include.supervise.observation import Observation, Unavailable
from include.supervise.policy import Decision
from include.supervise.rule_context import Action
from local.demo.clean_start import unfinished
from local.demo.fail_fast import failed_run, terminal_decision

UNAVAILABLE = Unavailable("unavailable")
SEEN = Observation(
    taken_at=0.0,
    flink=UNAVAILABLE,
    kafka=UNAVAILABLE,
    gate=UNAVAILABLE,
    elasticsearch=UNAVAILABLE,
    restore=UNAVAILABLE,
    input_flowing=None,
)


def record(at: float, action: Action, alert: str) -> DecisionRecord:
    return DecisionRecord(at, SEEN, Decision(action, alert, "no memory", "add memory"))


@pytest.mark.parametrize("alert", ["stream.start_failed", "stream.restart_limit_reached", "stream.restore_unknown"])
def test_terminal_decision_after_a_failed_start_has_its_reason_and_remedy(alert: str) -> None:
    error = terminal_decision([record(11.0, "page", alert), record(9.0, "wait", "stream.no_job")], since=10.0)

    assert str(error) == f"start of the stream failed: {alert}: no memory: add memory"


@pytest.mark.parametrize(
    "records",
    [
        [],
        [record(9.0, "page", "stream.start_failed")],
        [record(11.0, "wait", "flink.unreachable")],
        [record(11.0, "page", "elasticsearch.unreachable")],
        [record(12.0, "submit", "stream.no_job"), record(11.0, "page", "stream.start_failed")],
    ],
    ids=["none", "old", "waits", "transient", "tried again"],
)
def test_terminal_decision_on_what_may_still_pass_is_none(records: list[DecisionRecord]) -> None:
    assert terminal_decision(records, since=10.0) is None


def run(state: str, minute: int) -> dict[str, str]:
    return {"dag_run_id": f"run {minute}", "state": state, "run_after": f"2026-11-01T10:{minute:02}:00Z"}


def test_failed_run_is_the_newest_one_that_ended() -> None:
    since = datetime(2026, 11, 1, 10, 1, tzinfo=UTC).timestamp()

    assert failed_run([run("running", 3), run("failed", 2)], since) == "run 2"
    assert failed_run([run("success", 3), run("failed", 2)], since) is None
    assert failed_run([run("failed", 0)], since) is None
    assert failed_run([], since) is None


def test_unfinished_runs_are_those_that_have_not_ended_oldest_first() -> None:
    assert unfinished([run("queued", 4), run("running", 3), run("success", 2), run("failed", 1)]) == ["run 3", "run 4"]


def test_broken_dag_error_has_the_last_line_of_its_trace() -> None:
    errors = ["other.py: SyntaxError", "dags/archive_sessions.py: Traceback\n  File x\nImportError: no module\n"]

    assert broken_dag(errors, {"archive_sessions"}) == "dags/archive_sessions.py: ImportError: no module"
    assert broken_dag(errors, {"supervise_stream"}) is None


def test_dag_import_that_timed_out_is_retried() -> None:
    assert broken_dag(["archive_sessions.py: AirflowTaskTimeout: Timeout, PID: 1"], {"archive_sessions"}) is None
