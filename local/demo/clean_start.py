"""Reset a platform before a demo, because an earlier demo may have been killed at any point."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from kafka.errors import KafkaError

from include.clients.airflow import ENDED, AirflowApi
from include.contracts.errors import TransientError
from include.contracts.settings import Settings
from include.supervise.consumer_lag import probe_kafka
from local.verification.count_check import Baseline, take_baseline

ACTIVE = ("queued", "running", "restarting", "deferred")
"""Task states in which a task of a paused DAG still runs or will run."""
POLL_S = 1.0
IDLE_S = 5.0
STALLED_S = 45.0
IDLE_DEADLINE_S = 180.0

OnProgress = Callable[[str], None]


def resume_dags(airflow: AirflowApi, dag_ids: Iterable[str], on_progress: OnProgress) -> None:
    """Unpause these DAGs, because a run of a paused DAG waits without limit."""
    paused = airflow.dags()
    for dag_id in dag_ids:
        if paused[dag_id]:
            airflow.unpause(dag_id)
            on_progress(f"unpaused {dag_id}")


def pause_dag(airflow: AirflowApi, dag_id: str, deadline_s: float) -> None:
    """Pause a DAG and wait until none of its tasks runs; runs whose tasks do not end in time are ended."""
    airflow.pause(dag_id)
    until = time.monotonic() + deadline_s
    for run_id in unfinished(airflow.runs(dag_id)):
        while set(airflow.task_states(dag_id, run_id).values()) & set(ACTIVE):
            if time.monotonic() > until:
                airflow.end(dag_id, run_id)
                break
            time.sleep(POLL_S)


def end_waiting_runs(airflow: AirflowApi, dag_id: str, on_progress: OnProgress) -> None:
    """End the runs that a paused DAG would continue when it is unpaused."""
    for run_id in unfinished(airflow.runs(dag_id)):
        # Airflow does not end a paused DAG's run, even if all its tasks are done.
        if set(airflow.task_states(dag_id, run_id).values()) == {"success"}:
            continue
        airflow.end(dag_id, run_id)
        on_progress(f"ended {dag_id} {run_id}, which had not ended")


def wait_for_runs(airflow: AirflowApi, dag_id: str, deadline_s: float, on_progress: OnProgress) -> None:
    """Wait until the earlier runs of a DAG have ended. Raises NotReadyError after the deadline of one run."""
    for run_id in unfinished(airflow.runs(dag_id)):
        on_progress(f"{dag_id} {run_id} was started earlier, waiting for its end")
        airflow.wait(dag_id, run_id, deadline_s)


def unfinished(runs: Iterable[dict[str, Any]]) -> list[str]:
    """Return the ids of the runs that have not ended, oldest first."""
    return [str(run["dag_run_id"]) for run in runs if run["state"] not in ENDED][::-1]


def wait_until_idle(settings: Settings, on_progress: OnProgress, deadline_s: float = IDLE_DEADLINE_S) -> None:
    """Wait until earlier records have passed gate and stream; continues after the deadline.

    Sessions in flight would otherwise count as those of the demo.
    """
    until = time.monotonic() + deadline_s
    last: Baseline | None = None
    since = time.monotonic()
    while True:
        is_in_flight = True
        try:
            kafka, now = probe_kafka(settings.kafka), take_baseline(settings)
            if kafka.raw_end == 0:
                return
            # The transaction marker takes an offset that no reader passes.
            is_in_flight = kafka.gate_lag > 0 or kafka.stream_lag > settings.kafka.partitions
            if now != last:
                last, since = now, time.monotonic()
        except (TransientError, KafkaError):
            last = None
        if last is not None and time.monotonic() - since >= (STALLED_S if is_in_flight else IDLE_S):
            return
        if time.monotonic() > until:
            on_progress("other sources still send sessions; the demo counts their sessions too")
            return
        time.sleep(POLL_S)
