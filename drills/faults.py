"""The faults: each is one function that does the harm and returns at once."""

from collections.abc import Callable

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from include.archive import queries as archived
from include.archive import store
from include.local.airflow import AirflowApi
from include.local.stack import Stack
from include.supervise.flink_rest import FlinkRest
from include.supervise.stream_job import running_job

ARCHIVE_DEADLINE_S = 60.0

Fault = Callable[[Stack], None]


def _kill(program: str) -> Fault:
    def strike(stack: Stack) -> None:
        stack.kill(program)

    return strike


def _cancel(stack: Stack) -> None:
    """Behind Airflow's back."""
    with FlinkRest(stack.settings) as flink:
        job = running_job(flink)
        if job is not None:
            flink.cancel(job.jid)


def _kill_mongodb(stack: Stack) -> None:
    """In the middle of an archive run."""
    with store.connect(stack.settings) as client, AirflowApi(stack.settings, stack.layout) as airflow:
        database = store.database(client, stack.settings)
        before = archived.count(database)
        airflow.trigger("archive_sessions")
        Retrying(
            stop=stop_after_delay(ARCHIVE_DEADLINE_S),
            wait=wait_fixed(0.05),
            retry=retry_if_result(lambda count: count <= before),
        )(lambda: archived.count(database))
    stack.kill("mongodb")


FAULTS: dict[str, Fault] = {
    "taskmanager": _kill("flink-taskmanager"),
    "jobmanager": _kill("flink-jobmanager"),
    "cancel": _cancel,
    "gate": _kill("gate-0"),
    "airflow": _kill("airflow-scheduler"),
    "mongo": _kill_mongodb,
}
