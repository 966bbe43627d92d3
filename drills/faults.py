"""The faults: each causes its harm, and says afterwards whether it took effect."""

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tenacity import Retrying, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

from drills.fault import Fault, Struck
from drills.redis_full import fill_redis
from drills.transactions import Transactions
from include.archive import queries as archived
from include.archive import store
from include.contracts.errors import NotReadyError, ShowroomError
from include.local import processes
from include.local.airflow import AirflowApi
from include.local.stack import SERVERS, Stack
from include.supervise.flink_rest import FlinkRest
from include.supervise.stream_job import observe

ARCHIVE_DEADLINE_S = 60.0
OPEN_DEADLINE_S = 20.0
RESTART_DEADLINE_S = 60.0
CYCLE_DEADLINE_S = 120.0
GATE_KILLS = 20
GATE = "gate-0"
SCHEDULER = "airflow-scheduler"
SUPERVISOR, ACT = "supervise_stream", "act"


def _kill_taskmanager(stack: Stack) -> Struck:
    """The effects are restarts of the job, by Flink or by the supervisor."""
    before = _job(stack)
    stack.kill("flink-taskmanager")

    def effects() -> int:
        after = _job(stack)
        return 1 if after.job_id != before.job_id else after.restarts - before.restarts

    return Struck(effects)


def _kill_jobmanager(stack: Stack) -> Struck:
    """A new JobManager does not know the job."""
    before = _job(stack).job_id
    stack.kill("flink-jobmanager")

    def effects() -> int:
        with FlinkRest(stack.settings) as flink:
            return int(before not in {job.jid for job in flink.jobs()})

    return Struck(effects)


def _cancel(stack: Stack) -> Struck:
    """Behind Airflow's back; Flink must list the job as canceled."""
    before = _job(stack).job_id
    with FlinkRest(stack.settings) as flink:
        flink.cancel(before)

    def effects() -> int:
        with FlinkRest(stack.settings) as flink:
            return int((before, "CANCELED") in {(job.jid, job.state) for job in flink.jobs()})

    return Struck(effects)


def _kill_gate(stack: Stack) -> Struck:
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
    return Struck(transactions.aborted_records, lambda: {"kills": len(kills)})


def _kill_mongodb(stack: Stack) -> Struck:
    """In the middle of an archive run. The effects are failed attempts of the archive's tasks."""
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

    def effects() -> int:
        return sum(
            int(task["try_number"]) - 1 + (task["state"] == "failed") for task in _tasks(stack, "archive_sessions")
        )

    return Struck(effects)


def _kill_scheduler(stack: Stack) -> Struck:
    """While the supervisor's `act` runs, so that a task dies with it. Both must be there again without a person."""
    before = stack.pid(SCHEDULER)
    Retrying(stop=stop_after_delay(CYCLE_DEADLINE_S), wait=wait_fixed(0.2), retry=retry_if_result(lambda on: not on))(
        lambda: any(task["task_id"] == ACT and task["state"] == "running" for task in _tasks(stack, SUPERVISOR, 1))
    )
    stack.kill(SCHEDULER)
    killed_at = time.time()

    def figures() -> dict[str, Any]:
        ended = (
            datetime.fromisoformat(task["end_date"]).timestamp()
            for task in _tasks(stack, SUPERVISOR)
            if task["task_id"] == ACT and task["state"] == "success" and task["end_date"]
        )
        after = [at - killed_at for at in ended if at > killed_at]
        return {"next_cycle_s": round(min(after), 1) if after else float("inf")}

    return Struck(lambda: int(stack.pid(SCHEDULER) != before), figures)


def _job(stack: Stack) -> Any:
    """The stream job now; NotReadyError without one."""
    with FlinkRest(stack.settings) as flink:
        job = observe(flink)
    if job is None:
        raise NotReadyError("the stream job is not there", "see ./showroom stream status")
    return job


def _tasks(stack: Stack, dag_id: str, runs: int = 10) -> Iterable[dict[str, Any]]:
    """Task instances of the newest runs of a DAG."""
    with AirflowApi(stack.settings, stack.layout) as airflow:
        return [task for run in airflow.runs(dag_id)[:runs] for task in airflow.tasks(dag_id, run["dag_run_id"])]


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
    "taskmanager": Fault(strike=_kill_taskmanager),
    "jobmanager": Fault(strike=_kill_jobmanager),
    "cancel": Fault(strike=_cancel),
    "gate": Fault(strike=_kill_gate),
    "airflow": Fault(strike=_kill_scheduler, targets={"next_cycle_s": ("at most", 60.0)}),
    "mongo": Fault(strike=_kill_mongodb),
    "redis-full": Fault(
        strike=fill_redis,
        programs=(*SERVERS, GATE),
        settings={"redis_max_memory_mb": 64},
        # One start follows the kill; a second one would be a gate that ends instead of waiting.
        targets={"gate_starts": ("at most", 1.0)},
    ),
}
