"""The faults: each causes its harm, and says afterwards whether it took effect."""

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tenacity import Retrying, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

from benchmarks.bench_stack import on_progress
from drills.fault import Fault, InjectedFault
from drills.redis_full import fill_redis
from drills.transactions import Transactions
from include.archive import queries as archived
from include.archive import store
from include.contracts.collections import LOAD_DAG
from include.contracts.errors import NotReadyError, ShowroomError
from include.supervise.flink_rest import FlinkRest
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
    """The effects are restarts of the job, by Flink or by the supervisor."""
    before = _job(stack)
    stack.kill("flink-taskmanager")

    def effects() -> int:
        after = _job(stack)
        return 1 if after.job_id != before.job_id else after.restarts - before.restarts

    return InjectedFault(effects)


def _kill_jobmanager(stack: Stack) -> InjectedFault:
    """A new JobManager does not know the job."""
    before = _job(stack).job_id
    stack.kill("flink-jobmanager")

    def effects() -> int:
        with FlinkRest(stack.settings) as flink:
            return int(before not in {job.jid for job in flink.jobs()})

    return InjectedFault(effects)


def _cancel(stack: Stack) -> InjectedFault:
    """Behind Airflow's back; Flink must list the job as canceled."""
    before = _job(stack).job_id
    with FlinkRest(stack.settings) as flink:
        flink.cancel(before)

    def effects() -> int:
        with FlinkRest(stack.settings) as flink:
            return int((before, "CANCELED") in {(job.jid, job.state) for job in flink.jobs()})

    return InjectedFault(effects)


def _kill_gate(stack: Stack) -> InjectedFault:
    """Again and again, until one kill has left a transaction open. The effects are records of aborted transactions."""
    transactions = Transactions(stack.settings)
    kills: list[int] = []
    with transactions.watch() as is_open:
        while len(kills) < GATE_KILLS:
            victims = processes.tree(_restarted(stack, GATE))
            until = time.monotonic() + OPEN_DEADLINE_S
            while not is_open() and time.monotonic() < until:
                continue
            processes.kill(victims)
            kills.append(victims[0].pid)
            if is_open():
                break
    return InjectedFault(transactions.aborted_records, lambda: {"kills": len(kills)})


def _kill_mongodb(stack: Stack) -> InjectedFault:
    """In the middle of an archive run. The effects are attempts of the archive's tasks that failed after the kill."""
    before = _failed_attempts(_tasks(stack, LOAD_DAG))
    with store.connect(stack.settings) as client, connect_airflow(stack.settings, stack.layout) as airflow:
        database = store.database(client, stack.settings)
        archived_before = archived.count(database)
        airflow.trigger(LOAD_DAG)
        Retrying(
            stop=stop_after_delay(ARCHIVE_DEADLINE_S),
            wait=wait_fixed(0.05),
            retry=retry_if_result(lambda count: count <= archived_before),
        )(lambda: archived.count(database))
    stack.kill("mongodb")

    def effects() -> int:
        after = _failed_attempts(_tasks(stack, LOAD_DAG))
        return sum(max(0, count - before.get(task, 0)) for task, count in after.items())

    return InjectedFault(effects)


def _kill_scheduler(stack: Stack) -> InjectedFault:
    """While the supervisor's `act` runs, so that a task dies with it. Both must be there again without a person.

    The effects are interrupted attempts of `act`. An attempt that ends just before the kill is none, so the kill is
    repeated then.
    """
    for _ in range(SCHEDULER_KILLS):
        running = _running_act(stack)
        stack.kill(SCHEDULER)
        killed_at = time.time()
        # The API server shows what the task has reported until its death.
        if _is_interrupted(running, _task(stack, running)):
            break
        on_progress("the task ended before the kill; the next one is awaited")
        _restarted(stack, SCHEDULER)

    def effects() -> int:
        return int(_is_interrupted(running, _task(stack, running)))

    def figures() -> dict[str, Any]:
        ended = (
            datetime.fromisoformat(task["end_date"]).timestamp()
            for task in _tasks(stack, SUPERVISOR)
            if task["task_id"] == ACT and task["state"] == "success" and task["end_date"]
        )
        after = [at - killed_at for at in ended if at > killed_at]
        return {"next_cycle_s": round(min(after), 1) if after else float("inf")}

    return InjectedFault(effects, figures)


def _job(stack: Stack) -> Any:
    """The stream job now; NotReadyError without one."""
    with FlinkRest(stack.settings) as flink:
        job = get_job_status(flink)
    if job is None:
        raise NotReadyError("the stream job is not there", "see ./showroom stream status")
    return job


def _tasks(stack: Stack, dag_id: str, runs: int = 10) -> Iterable[dict[str, Any]]:
    """Task instances of the newest runs of a DAG."""
    with connect_airflow(stack.settings, stack.layout) as airflow:
        return [task for run in airflow.runs(dag_id)[:runs] for task in airflow.tasks(dag_id, run["dag_run_id"])]


def _failed_attempts(tasks: Iterable[dict[str, Any]]) -> dict[tuple[str, str], int]:
    """Attempts of each task instance that failed so far, by run and task."""
    return {
        (task["dag_run_id"], task["task_id"]): max(0, int(task["try_number"]) - 1) + (task["state"] == "failed")
        for task in tasks
    }


def _running_act(stack: Stack) -> dict[str, Any]:
    """The supervisor's `act` once it runs. Raises RetryError if none does in time."""
    results: list[dict[str, Any]] = Retrying(
        stop=stop_after_delay(CYCLE_DEADLINE_S), wait=wait_fixed(0.2), retry=retry_if_result(lambda tasks: not tasks)
    )(lambda: [task for task in _tasks(stack, SUPERVISOR, 1) if task["task_id"] == ACT and task["state"] == "running"])
    return results[0]


def _task(stack: Stack, earlier: dict[str, Any]) -> dict[str, Any]:
    """The same task instance as it is now."""
    with connect_airflow(stack.settings, stack.layout) as airflow:
        tasks = airflow.tasks(earlier["dag_id"], earlier["dag_run_id"])
    return next(task for task in tasks if task["task_id"] == earlier["task_id"])


def _is_interrupted(running: dict[str, Any], later: dict[str, Any]) -> bool:
    """Whether the attempt that ran did not succeed: another attempt followed, or the task has no success."""
    is_same_attempt = all(running[name] == later[name] for name in ("try_number", "start_date"))
    return not is_same_attempt or later["state"] != "success"


def _restarted(stack: Stack, program: str) -> int:
    """The pid of a program that supervisord starts again."""
    retrying = Retrying(
        stop=stop_after_delay(RESTART_DEADLINE_S),
        wait=wait_fixed(0.1),
        retry=retry_if_exception_type(ShowroomError),
        reraise=True,
    )
    return retrying(stack.pid, program)


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
        # One start follows the kill; a second one would be a gate that ends instead of waiting.
        targets={"gate_starts": ("at most", 1.0)},
    ),
}
