"""All parts of the platform looked at side by side, each within its own time; none of them can fail the look."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
import redis

from include.contracts import keys
from include.contracts.errors import ShowroomError, TerminalError
from include.contracts.offset_gap import decode_gap
from include.contracts.settings import Settings
from include.contracts.stream import JOB_NAME
from include.supervise.archive_probe import probe_archive
from include.supervise.flink_progress import records_out
from include.supervise.flink_rest import FlinkRest, JobSummary
from include.supervise.observation import Away, Flink, Gate, Job, Kafka, Observation, Restore, Search
from include.supervise.progress import REQUEST_S, probe_kafka
from include.supervise.stream_job import newest_restore_point

DEADLINE_S = 3.0
LONGEST_REASON = 300
SUMMARY = "session_summary"
# Before the first document there is no index and so no alias.
LENIENT = {"ignore_unavailable": "true", "allow_no_indices": "true"}
FOUND_FIELDS = {"filter_path": "hits.total,hits.hits._source"}
NODE_FIELDS = {"filter_path": "nodes.*.thread_pool.write.rejected,nodes.*.indexing_pressure.memory.total"}
SLOW_CHECKPOINT_S = 30.0
"""Age of the newest checkpoint from which on the job's progress is asked for, which takes a request for each vertex."""

_T = TypeVar("_T")


def observe(settings: Settings, earlier: Observation | None = None, *, state: Path | None = None) -> Observation:
    """One look at everything, within some seconds. `earlier` tells whether input flows since.

    `state` is Flink's data folder; without it the restore points are unknown. Never raises for a server that is
    away, slow, or answers nonsense: that part is `Away`.
    """
    taken_at = time.time()
    asked: dict[str, Future[Any]] = {
        "flink": _begin(lambda: probe_flink(settings)),
        "kafka": _begin(lambda: probe_kafka(settings)),
        "gate": _begin(lambda: probe_gate(settings)),
        "elasticsearch": _begin(lambda: probe_elasticsearch(settings)),
        "restore": _begin(lambda: probe_restore(state)),
        "archive": _begin(lambda: probe_archive(settings)),
    }
    until = time.monotonic() + DEADLINE_S
    found: dict[str, Any] = {name: _result(future, until) for name, future in asked.items()}
    return Observation(taken_at=taken_at, input_flowing=_flowing(found["kafka"], earlier), **found)


def probe_flink(settings: Settings) -> Flink:
    """The cluster and its stream job. Raises the errors of FlinkRest."""
    with FlinkRest(settings, timeout_s=REQUEST_S) as flink:
        workers = flink.taskmanagers()
        running = [job for job in flink.jobs() if job.name == JOB_NAME and not job.ended]
        return Flink(
            taskmanagers=len(workers),
            slots=sum(worker.slots_number for worker in workers),
            free_slots=sum(worker.free_slots for worker in workers),
            job=_job(flink, running[0]) if running else None,
            jobs=len(running),
        )


def probe_gate(settings: Settings) -> Gate:
    """Heartbeats and counts out of the gate's memory. Raises redis' own errors."""
    partitions = range(settings.partitions)
    url = settings.redis_url.reveal()
    with (
        redis.Redis.from_url(url, socket_timeout=REQUEST_S, socket_connect_timeout=REQUEST_S) as client,
        client.pipeline(transaction=False) as pipe,
    ):
        for partition in partitions:
            pipe.get(keys.heartbeat(partition))
            pipe.hgetall(keys.counts(partition))
            pipe.get(keys.stopped(partition))
        pipe.info("memory")
        *answers, memory = pipe.execute()
    now = time.time()
    verdicts: dict[str, int] = {}
    for counts in answers[1::3]:
        for name, count in counts.items():
            if name not in keys.BOOKKEEPING:
                verdicts[name.decode()] = verdicts.get(name.decode(), 0) + int(count)
    beats = dict(zip(partitions, answers[::3], strict=True))
    ages = {number: None if beat is None else now - int(beat) / 1_000 for number, beat in beats.items()}
    gaps = [decode_gap(value) for value in answers[2::3] if value is not None]
    stopped = {gap.partition: gap.description for gap in gaps}
    ratio = memory["used_memory"] / memory["maxmemory"] if memory["maxmemory"] else None
    return Gate(heartbeat_age_s=ages, verdicts=verdicts, stopped=stopped, redis_memory_ratio=ratio)


class _Health(msgspec.Struct):
    status: str


class _Session(msgspec.Struct):
    session_id: str
    received_at: datetime


class _Hit(msgspec.Struct):
    source: _Session = msgspec.field(name="_source")


class _Total(msgspec.Struct):
    value: int


class _Hits(msgspec.Struct):
    total: _Total
    hits: list[_Hit] = []


class _Found(msgspec.Struct):
    hits: _Hits


class _Index(msgspec.Struct):
    settings: dict[str, str]


class _Pool(msgspec.Struct):
    rejected: int = 0


class _Pressure(msgspec.Struct):
    coordinating_rejections: int = 0
    primary_rejections: int = 0
    replica_rejections: int = 0


class _Memory(msgspec.Struct):
    total: _Pressure = msgspec.field(default_factory=_Pressure)


class _Indexing(msgspec.Struct):
    memory: _Memory = msgspec.field(default_factory=_Memory)


class _Node(msgspec.Struct):
    thread_pool: dict[str, _Pool] = {}
    indexing_pressure: _Indexing = msgspec.field(default_factory=_Indexing)

    @property
    def rejections(self) -> int:
        pressure = self.indexing_pressure.memory.total
        queues = sum(pool.rejected for name, pool in self.thread_pool.items() if name == "write")
        return queues + pressure.coordinating_rejections + pressure.primary_rejections + pressure.replica_rejections


class _Nodes(msgspec.Struct):
    nodes: dict[str, _Node]


def probe_elasticsearch(settings: Settings) -> Search:
    """Health, blocks and the newest searchable session. Raises TerminalError, httpx' and msgspec's errors."""
    key = settings.elasticsearch_api_key.reveal()
    headers = {"Authorization": f"ApiKey {key}"} if key else {}
    with httpx.Client(base_url=settings.elasticsearch_url, timeout=REQUEST_S, headers=headers) as http:
        health = _ask(http, "GET", "/_cluster/health", _Health)
        blocks = _ask(
            http,
            "GET",
            f"/{SUMMARY}-*/_settings/index.blocks.*",
            dict[str, _Index],
            {**LENIENT, "flat_settings": "true"},
        )
        if health.status == "red":
            return Search(health.status, "its health is red: shards are missing", 0, None, None)
        # Of all documents a shard knows the number without counting; one search answers both questions.
        body = {
            "size": 1,
            "track_total_hits": True,
            "_source": ["session_id", "received_at"],
            "sort": [{"received_at": {"order": "desc", "unmapped_type": "date"}}],
        }
        found = _ask(http, "POST", f"/{SUMMARY}/_search", _Found, {**LENIENT, **FOUND_FIELDS}, body).hits
        nodes = _ask(http, "GET", "/_nodes/stats/thread_pool,indexing_pressure", _Nodes, NODE_FIELDS).nodes
    newest = found.hits[0].source if found.hits else None
    return Search(
        health=health.status,
        refusing=_blocked(blocks),
        sessions=found.total.value,
        newest_id=newest.session_id if newest else None,
        newest_at=newest.received_at.timestamp() if newest else None,
        rejections=sum(node.rejections for node in nodes.values()),
    )


def probe_restore(state: Path | None) -> Restore:
    """The newest restore point below Flink's data folder. Raises OSError, TerminalError without a folder."""
    if state is None:
        raise TerminalError("the folder of checkpoints was not named", "give Flink's data folder")
    if not state.is_dir():
        raise TerminalError(f"there is no folder {state}", "see where Flink keeps its checkpoints")
    point = newest_restore_point(state)
    return Restore(None if point is None else str(point.path))


def _job(flink: FlinkRest, summary: JobSummary) -> Job:
    job, checkpoints = flink.job(summary.jid), flink.checkpoints(summary.jid)
    completed = checkpoints.latest.completed
    age_s = (job.now - job.start_time) / 1_000
    checkpoint_age_s = None if completed is None else (job.now - completed.latest_ack_timestamp) / 1_000
    late = min(age_s, age_s if checkpoint_age_s is None else checkpoint_age_s) > SLOW_CHECKPOINT_S
    return Job(
        id=job.jid,
        state=job.state,
        age_s=age_s,
        idle_tasks=job.idle_tasks,
        checkpoints=checkpoints.counts.completed,
        checkpoint_age_s=checkpoint_age_s,
        restarts=int(flink.metrics(job.jid, ["numRestarts"]).get("numRestarts", 0)),
        failure=next(iter(flink.exceptions(job.jid)), None),
        records=records_out(flink, job) if late else None,
    )


def _ask(
    http: httpx.Client,
    method: str,
    path: str,
    kind: type[_T],
    params: Mapping[str, str] | None = None,
    body: Any = None,
) -> _T:
    response = http.request(method, path, params=params, json=body)
    if response.is_error:
        told = " ".join(response.text.split())
        raise TerminalError(f"Elasticsearch answered {response.status_code} to {path} ({told})", "see its log")
    return msgspec.json.decode(response.content, type=kind)


def _blocked(blocks: Mapping[str, _Index]) -> str | None:
    """Which indices are closed to writing, None for none."""
    told = [
        f"{index}: {name}"
        for index, found in sorted(blocks.items())
        for name, value in sorted(found.settings.items())
        if value == "true" and name.removeprefix("index.blocks.") in ("write", "read_only", "read_only_allow_delete")
    ]
    return f"{', '.join(told)}" if told else None


def _flowing(kafka: Kafka | Away, earlier: Observation | None) -> bool | None:
    if earlier is None or isinstance(kafka, Away) or isinstance(earlier.kafka, Away):
        return None
    return kafka.raw_end > earlier.kafka.raw_end


def _begin(probe: Callable[[], _T]) -> "Future[_T]":
    """Run a probe beside the others; a daemon, so that one that hangs keeps nobody from ending."""
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(probe())
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=run, name="probe", daemon=True).start()
    return future


def _result(future: "Future[_T]", until: float) -> "_T | Away":
    """The probe's answer, or why there is none. Clients raise many errors; all of them mean that it is away."""
    try:
        return future.result(timeout=max(0.0, until - time.monotonic()))
    except FutureTimeoutError:
        return Away(f"no answer within {DEADLINE_S:g} s")
    except ShowroomError as error:
        return Away(_line(error.message))
    except Exception as error:
        return Away(_line(f"{type(error).__name__}: {error}"))


def _line(text: str) -> str:
    return " ".join(text.split())[:LONGEST_REASON]
