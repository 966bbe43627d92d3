"""Fault effects counted in Airflow's task instances."""

from typing import Any

import pytest

from drills.faults import _count_failed_attempts, _is_interrupted


def task(**changes: Any) -> dict[str, Any]:
    """Return a task instance of the first attempt in the format of Airflow's API."""
    return {
        "dag_run_id": "run-1",
        "task_id": "act",
        "try_number": 1,
        "start_date": "2026-11-25T08:00:00Z",
        "state": "running",
    } | changes


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state": "success"}, False),
        ({"state": "running"}, True),
        ({"state": "failed"}, True),
        ({"state": None}, True),
        ({"state": "success", "try_number": 2}, True),
        ({"state": "success", "start_date": "2026-11-25T08:00:30Z"}, True),
    ],
)
def test_is_interrupted_without_a_success_of_the_same_attempt_is_true(changes: dict[str, Any], expected: bool) -> None:
    assert _is_interrupted(task(), task(**changes)) is expected


def test_failed_attempts_of_a_run_count_earlier_tries_and_a_final_failure() -> None:
    tasks = [
        task(),
        task(dag_run_id="run-2", try_number=3, state="success"),
        task(dag_run_id="run-3", state="failed"),
        task(dag_run_id="run-4", try_number=0, state=None),
    ]
    assert list(_count_failed_attempts(tasks).values()) == [0, 2, 1, 0]
