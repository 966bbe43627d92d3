"""Probe all parts of the platform concurrently, each with a time limit; a failed probe is an `Unavailable`."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import Any, TypeVar

from include.clients.flink import FlinkRest, JobSummary
from include.clients.redis import connect
from include.contracts import redis_keys
from include.contracts.errors import ShowroomError, TerminalError
from include.contracts.health import heartbeat_ages
from include.contracts.offset_gap import OffsetGap, decode_gap
from include.contracts.settings import FlinkSettings, Settings
from include.contracts.stream import JOB_NAME
from include.supervise.archive_probe import probe_archive
from include.supervise.consumer_lag import REQUEST_TIMEOUT_S, probe_kafka
from include.supervise.elasticsearch_probe import probe_elasticsearch
from include.supervise.flink_progress import records_out
from include.supervise.observation import FlinkState, GateState, Job, KafkaState, Observation, RestoreState, Unavailable
from include.supervise.stream_job import newest_restore_point

DEADLINE_S = 3.0
MAX_REASON_CHARS = 300
SLOW_CHECKPOINT_S = 30.0
"""Age of the newest checkpoint above which the job's records are counted, with a request for each vertex."""

_T = TypeVar("_T")


def observe(settings: Settings, earlier: Observation | None = None, *, state: Path | None = None) -> Observation:
    """Observe all parts within a few seconds; never raises.

    Args:
        settings: Addresses.
        earlier: The observation before, to detect whether input flows.
        state: Flink's data folder; without it the restore points are unknown.

    Returns:
        The observation. A part that is unavailable, slow or malformed is `Unavailable`.
    """
    taken_at = time.time()
    futures: dict[str, Future[Any]] = {
        "flink": _start(lambda: probe_flink(settings.flink)),
        "kafka": _start(lambda: probe_kafka(settings.kafka)),
        "gate": _start(lambda: probe_gate(settings)),
        "elasticsearch": _start(lambda: probe_elasticsearch(settings.elasticsearch)),
        "restore": _start(lambda: probe_restore(state)),
        "archive": _start(lambda: probe_archive(settings)),
    }
    until = time.monotonic() + DEADLINE_S
    parts: dict[str, Any] = {name: _result(future, until) for name, future in futures.items()}
    return Observation(taken_at=taken_at, input_flowing=_is_input_flowing(parts["kafka"], earlier), **parts)


def probe_flink(settings: FlinkSettings) -> FlinkState:
    """Return the cluster and its stream job. Raises the errors of FlinkRest."""
    with FlinkRest(settings, timeout_s=REQUEST_TIMEOUT_S) as flink:
        workers = flink.taskmanagers()
        running = [job for job in flink.jobs() if job.name == JOB_NAME and not job.has_ended]
        return FlinkState(
            taskmanagers=len(workers),
            slots=sum(worker.slots_number for worker in workers),
            free_slots=sum(worker.free_slots for worker in workers),
            job=_job(flink, running[0]) if running else None,
            jobs=len(running),
        )


def probe_gate(settings: Settings) -> GateState:
    """Return the gate's heartbeats and counts in Redis. Raises redis' errors."""
    partitions = range(settings.kafka.partitions)
    url = settings.redis.url.reveal()
    with (
        connect(url, timeout_s=REQUEST_TIMEOUT_S) as client,
        client.pipeline(transaction=False) as pipe,
    ):
        for partition in partitions:
            pipe.get(redis_keys.heartbeat(partition))
            pipe.hgetall(redis_keys.counts(partition))
            pipe.get(redis_keys.stopped(partition))
        pipe.info("memory")
        *responses, memory = pipe.execute()
    now = time.time()
    verdicts: dict[str, int] = {}
    for counts in responses[1::3]:
        for name, count in counts.items():
            if name not in redis_keys.BOOKKEEPING:
                verdicts[name.decode()] = verdicts.get(name.decode(), 0) + int(count)
    ages = heartbeat_ages(responses[::3], now)
    gaps = [decode_gap(value) for value in responses[2::3] if value is not None]
    stopped = {gap.partition: _describe_stop(gap) for gap in gaps}
    ratio = memory["used_memory"] / memory["maxmemory"] if memory["maxmemory"] else None
    return GateState(heartbeat_age_s=ages, verdicts=verdicts, stopped=stopped, redis_memory_ratio=ratio)


def _describe_stop(gap: OffsetGap) -> str:
    return f"{gap.description}; --from {gap.resume} is requested" if gap.resume else gap.description


def probe_restore(state: Path | None) -> RestoreState:
    """Return the newest restore point below Flink's data folder. Raises OSError, TerminalError without a folder."""
    if state is None:
        raise TerminalError("the folder of checkpoints is not set", "set it to Flink's data folder")
    if not state.is_dir():
        raise TerminalError(f"folder {state} does not exist", "check the settings of Flink's checkpoints")
    point = newest_restore_point(state)
    return RestoreState(None if point is None else str(point.path))


def _job(flink: FlinkRest, summary: JobSummary) -> Job:
    job, checkpoints = flink.job(summary.jid), flink.checkpoints(summary.jid)
    completed = checkpoints.latest.completed
    age_s = (job.now - job.start_time) / 1_000
    checkpoint_age_s = None if completed is None else (job.now - completed.latest_ack_timestamp) / 1_000
    is_late = min(age_s, age_s if checkpoint_age_s is None else checkpoint_age_s) > SLOW_CHECKPOINT_S
    return Job(
        id=job.jid,
        state=job.state,
        age_s=age_s,
        idle_tasks=job.idle_tasks,
        checkpoints=checkpoints.counts.completed,
        checkpoint_age_s=checkpoint_age_s,
        restarts=int(flink.metrics(job.jid, ["numRestarts"]).get("numRestarts", 0)),
        failure=next(iter(flink.exceptions(job.jid)), None),
        records=records_out(flink, job) if is_late else None,
    )


def _is_input_flowing(kafka: KafkaState | Unavailable, earlier: Observation | None) -> bool | None:
    if earlier is None or isinstance(kafka, Unavailable) or isinstance(earlier.kafka, Unavailable):
        return None
    return kafka.raw_end > earlier.kafka.raw_end


def _start(probe: Callable[[], _T]) -> "Future[_T]":
    """Run a probe in a daemon thread, so that a probe that hangs does not block the exit."""
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(probe())
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=run, name="probe", daemon=True).start()
    return future


def _result(future: "Future[_T]", until: float) -> "_T | Unavailable":
    """Return the probe's result; any error of a client means that the part is unavailable."""
    try:
        return future.result(timeout=max(0.0, until - time.monotonic()))
    except FutureTimeoutError:
        return Unavailable(f"no response within {DEADLINE_S:g} s")
    except ShowroomError as error:
        return Unavailable(_line(error.message))
    except Exception as error:
        return Unavailable(_line(_cause(error)))


def _cause(error: Exception) -> str:
    """Return the error's type and first statement, without the client's settings and topology."""
    name, text = type(error).__name__, str(error).partition(" (configured timeouts")[0]
    return text if text.startswith(name) else f"{name}: {text}"


def _line(text: str) -> str:
    return " ".join(text.split())[:MAX_REASON_CHARS]
