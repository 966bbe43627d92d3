"""A nightly run by Airflow, reported step by step."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.clients.airflow import ENDED, AirflowApi
from include.contracts.errors import NotReadyError, TransientError
from include.contracts.settings import Settings
from local.airflow_login import connect_airflow
from local.layout import Layout

DAG = "batch_nightly"
STEPS = ("features", "similar", "neighbours", "train", "privacy", "explain", "promote")
DEADLINE_S = 1_200.0
POLL_S = 1.0
UNAVAILABLE_TIMEOUT_S = 60.0
TASK_ENDED = (*ENDED, "upstream_failed", "skipped", "removed")

OnProgress = Callable[[str], None]


@dataclass(frozen=True)
class NightlyRunResult:
    """Result of a run: the summary of each step, and the last error line of failed steps."""

    run_id: str
    seconds: float
    summaries: dict[str, dict[str, Any]]
    failed: dict[str, str]

    @property
    def complete(self) -> bool:
        """Return whether every step returned its summary."""
        return not self.failed and set(STEPS) <= set(self.summaries)


def run(
    settings: Settings, start: datetime, end: datetime, on_progress: OnProgress, deadline_s: float = DEADLINE_S
) -> NightlyRunResult:
    """One run on the sessions that began in [start, end). A failed step does not raise; it is part of the result."""
    began = time.monotonic()
    with connect_airflow(settings.airflow, Layout.of(settings.local)) as airflow:
        airflow.wait_for_dags({DAG})
        run_id = airflow.trigger(DAG, {"start": start.isoformat(), "end": end.isoformat()})
        states = _follow(airflow, run_id, on_progress, deadline_s)
        messages = {step: airflow.result(DAG, run_id, step) for step in STEPS if states.get(step) == "success"}
        failed = {
            name: airflow.last_error_line(DAG, run_id, name) for name, state in states.items() if state == "failed"
        }
    return NightlyRunResult(run_id, time.monotonic() - began, messages, failed)


def _follow(airflow: AirflowApi, run_id: str, on_progress: OnProgress, deadline_s: float) -> dict[str, str]:
    """Wait for the tasks; report and return their final states. Raises NotReadyError after the deadline."""
    began = last = time.monotonic()
    shown: dict[str, str] = {}
    while True:
        try:
            ended = airflow.state(DAG, run_id) in ENDED
            states = airflow.task_states(DAG, run_id)
            last = time.monotonic()
        except TransientError:
            # A step uses all processors, so Airflow may respond slowly.
            if time.monotonic() - last > UNAVAILABLE_TIMEOUT_S:
                raise
            continue
        for name, state in states.items():
            if state in TASK_ENDED and shown.get(name) != state:
                shown[name] = state
                on_progress(f"{DAG}: {name} {'succeeded' if state == 'success' else state}")
        if ended:
            return states
        if time.monotonic() - began > deadline_s:
            raise NotReadyError(f"{DAG} {run_id} has not ended after {deadline_s:g} s", "see its tasks in Airflow")
        time.sleep(POLL_S)
