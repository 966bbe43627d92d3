"""Faults of the drills. Each function injects one fault and returns how to count its effects."""

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from benchmarks.bench_stack import on_progress
from drills.fault import Fault, InjectedFault
from drills.redis_full import fill_redis
from drills.transactions import Transactions
from include.archive import queries as archived
from include.archive import store
from include.clients.errors import with_retries
from include.clients.flink import FlinkRest
from include.contracts.collections import LOAD_DAG
from include.contracts.errors import NotReadyError, ShowroomError
from include.supervise.stream_job import get_job_status
from local import processes
from local.airflow_login import connect_airflow
from local.stack import SERVERS, Stack

ARCHIVE_DEADLINE_S = 60.0
OPEN_DEADLINE_S = 20.0
RESTART_DEADLINE_S = 60.0
CYCLE_DEADLINE_S = 120.0
GATE_KILLS = 20
GATE = "gate-0"
SCHEDULER = "airflow-scheduler"
SCHEDULER_KILLS = 3
SUPERVISOR, ACT = "supervise_stream", "act"


def _kill_taskmanager(stack: Stack) -> InjectedFault:
    """Kill the TaskManager. The effects are restarts of the job, by Flink or by the supervisor."""
    before = _require_job(stack)
    stack.kill("flink-taskmanager")

    def effects() -> int:
        after = _require_job(stack)
        return 1 if after.job_id != before.job_id else after.restarts - before.restarts

    return InjectedFault(effects)


def _kill_jobmanager(stack: Stack) -> InjectedFault:
    """Kill the JobManager. The effect: the new JobManager does not list the job."""
    before = _require_job(stack).job_id
    stack.kill("flink-jobmanager")

    def effects() -> int:
        with FlinkRest(stack.settings.flink) as flink:
            return int(before not in {job.jid for job in flink.jobs()})

    return InjectedFault(effects)


def _cancel(stack: Stack) -> InjectedFault:
    """Cancel the job without Airflow. The effect: Flink lists the job as CANCELED."""
    before = _require_job(stack).job_id
    with FlinkRest(stack.settings.flink) as flink:
        flink.cancel(before)

    def effects() -> int:
        with FlinkRest(stack.settings.flink) as flink:
            return int((before, "CANCELED") in {(job.jid, job.state) for job in flink.jobs()})

    return InjectedFault(effects)


def _kill_gate(stack: Stack) -> InjectedFault:
    """Kill the gate until a kill leaves a transaction open. The effects are records of aborted transactions."""
    transactions = Transactions(stack.settings.kafka)
    kills: list[int] = []
    with transactions.watch() as is_open:
        while len(kills) < GATE_KILLS:
            gate_processes = processes.tree(_wait_for_pid(stack, GATE))
            until = time.monotonic() + OPEN_DEADLINE_S
            while not is_open() and time.monotonic() < until:
                continue
            processes.kill(gate_processes)
            kills.append(gate_processes[0].pid)
            if is_open():
                break
    return InjectedFault(transactions.aborted_records, lambda: {"kills": len(kills)})


def _kill_mongodb(stack: Stack) -> InjectedFault:
    """Kill MongoDB during an archive run. The effects are failed attempts of archive tasks after the kill."""
    before = _count_failed_attempts(_read_tasks(stack, LOAD_DAG))
    with (
        store.connect(stack.settings.mongodb) as client,
        connect_airflow(stack.settings.airflow, stack.layout) as airflow,
    ):
        database = store.database(client, stack.settings.mongodb)
        archived_before = archived.count(database)
        airflow.trigger(LOAD_DAG)
        Retrying(
            stop=stop_after_delay(ARCHIVE_DEADLINE_S),
            wait=wait_fixed(0.05),
            retry=retry_if_result(lambda count: count <= archived_before),
        )(lambda: archived.count(database))
    stack.kill("mongodb")

    def effects() -> int:
        after = _count_failed_attempts(_read_tasks(stack, LOAD_DAG))
        return sum(max(0, count - before.get(task, 0)) for task, count in after.items())

    return InjectedFault(effects)


def _kill_scheduler(stack: Stack) -> InjectedFault:
    """Kill the scheduler while the supervisor's task `act` runs. Both must recover without an operator.

    The effects are interrupted attempts of `act`. If the attempt ends just before the kill, the kill is repeated.
    """
    for _ in range(SCHEDULER_KILLS):
        running = _wait_for_running_act(stack)
        stack.kill(SCHEDULER)
        killed_at = time.time()
        # The API server has the last state that the killed task reported.
        if _is_interrupted(running, _read_task(stack, running)):
            break
        on_progress("the task ended before the kill; waiting for the next one")
        _wait_for_pid(stack, SCHEDULER)

    def effects() -> int:
        return int(_is_interrupted(running, _read_task(stack, running)))

    def metrics() -> dict[str, Any]:
        end_timestamps = (
            datetime.fromisoformat(task["end_date"]).timestamp()
            for task in _read_tasks(stack, SUPERVISOR)
            if task["task_id"] == ACT and task["state"] == "success" and task["end_date"]
        )
        after = [timestamp - killed_at for timestamp in end_timestamps if timestamp > killed_at]
        return {"next_cycle_s": round(min(after), 1) if after else float("inf")}

    return InjectedFault(effects, metrics)


def _require_job(stack: Stack) -> Any:
    """Return the stream job's status.

    Raises:
        NotReadyError: No job is running.
    """
    with FlinkRest(stack.settings.flink) as flink:
        job = get_job_status(flink)
    if job is None:
        raise NotReadyError("read of the stream job failed: no job is running", "see ./showroom stream status")
    return job


def _read_tasks(stack: Stack, dag_id: str, runs: int = 10) -> Iterable[dict[str, Any]]:
    """Return the task instances of the newest runs of a DAG."""
    with connect_airflow(stack.settings.airflow, stack.layout) as airflow:
        return [task for run in airflow.runs(dag_id)[:runs] for task in airflow.tasks(dag_id, run["dag_run_id"])]


def _count_failed_attempts(tasks: Iterable[dict[str, Any]]) -> dict[tuple[str, str], int]:
    """Return the failed attempts of each task instance, by run id and task id."""
    return {
        (task["dag_run_id"], task["task_id"]): max(0, int(task["try_number"]) - 1) + (task["state"] == "failed")
        for task in tasks
    }


def _wait_for_running_act(stack: Stack) -> dict[str, Any]:
    """Wait for a running `act` of the supervisor and return its task instance.

    Raises:
        RetryError: None ran in time.
    """
    results: list[dict[str, Any]] = Retrying(
        stop=stop_after_delay(CYCLE_DEADLINE_S), wait=wait_fixed(0.2), retry=retry_if_result(lambda tasks: not tasks)
    )(
        lambda: [
            task for task in _read_tasks(stack, SUPERVISOR, 1) if task["task_id"] == ACT and task["state"] == "running"
        ]
    )
    return results[0]


def _read_task(stack: Stack, earlier: dict[str, Any]) -> dict[str, Any]:
    """Return the current state of a task instance."""
    with connect_airflow(stack.settings.airflow, stack.layout) as airflow:
        tasks = airflow.tasks(earlier["dag_id"], earlier["dag_run_id"])
    return next(task for task in tasks if task["task_id"] == earlier["task_id"])


def _is_interrupted(running: dict[str, Any], later: dict[str, Any]) -> bool:
    """Return whether the running attempt did not succeed: another attempt followed, or the task has not succeeded."""
    is_same_attempt = all(running[name] == later[name] for name in ("try_number", "start_date"))
    return not is_same_attempt or later["state"] != "success"


def _wait_for_pid(stack: Stack, program: str) -> int:
    """Wait until supervisord has restarted a program and return its pid."""
    return with_retries(
        lambda: stack.pid(program), wait=wait_fixed(0.1), deadline_s=RESTART_DEADLINE_S, retry_on=ShowroomError
    )


FAULTS: dict[str, Fault] = {
    "taskmanager": Fault(inject=_kill_taskmanager),
    "jobmanager": Fault(inject=_kill_jobmanager),
    "cancel": Fault(inject=_cancel),
    "gate": Fault(inject=_kill_gate),
    "airflow": Fault(inject=_kill_scheduler, targets={"next_cycle_s": ("at most", 60.0)}),
    "mongo": Fault(inject=_kill_mongodb),
    "redis-full": Fault(
        inject=fill_redis,
        programs=(*SERVERS, GATE),
        settings={"redis": {"max_memory_mb": 64}},
        # One start follows the kill. A second one means that the gate exited instead of waiting.
        targets={"gate_starts": ("at most", 1.0)},
    ),
}
