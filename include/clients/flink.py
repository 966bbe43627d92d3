"""Typed client of the part of Flink's REST interface that this project uses."""

import hashlib
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self, TypeVar

import httpx
import msgspec

from include.clients.errors import unavailable
from include.contracts.errors import TerminalError, TransientError
from include.contracts.settings import FlinkSettings

TIMEOUT_S = 10.0
# Long, because Flink's client needs seconds to plan the job, on a busy machine tens of seconds.
RUN_TIMEOUT_S = 180.0
MAX_CAUSE_CHARS = 500
DIGEST_LENGTH = 12
NUMBER = r"^-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$"
ENDED = frozenset({"FINISHED", "CANCELED", "FAILED"})

_T = TypeVar("_T")


class _Response(msgspec.Struct, frozen=True, rename="kebab"):
    """Base of responses; unknown fields are ignored."""


class JobSummary(_Response, frozen=True):
    """One job of the cluster. Its state stays RUNNING after the loss of a TaskManager; the tasks show the loss."""

    jid: str
    name: str
    state: str
    start_time: int

    @property
    def has_ended(self) -> bool:
        """Whether the job has ended for good."""
        return self.state in ENDED


class Vertex(_Response, frozen=True):
    """One chain of operators, with the number of its tasks by state."""

    id: str
    name: str
    parallelism: int
    tasks: dict[str, int]


class JobDetails(JobSummary, frozen=True):
    """A job with its vertices. `now` and `start-time` in ms."""

    now: int
    vertices: list[Vertex]

    @property
    def idle_tasks(self) -> dict[str, int]:
        """State -> number of tasks in any state but RUNNING."""
        idle: dict[str, int] = {}
        for vertex in self.vertices:
            for state, number in vertex.tasks.items():
                if number and state != "RUNNING":
                    idle[state] = idle.get(state, 0) + number
        return idle


class CheckpointCounts(msgspec.Struct, frozen=True):
    """Numbers of checkpoints since the job was submitted."""

    restored: int
    total: int
    in_progress: int
    completed: int
    failed: int


class CompletedCheckpoint(msgspec.Struct, frozen=True):
    """One completed checkpoint; times in ms."""

    id: int
    external_path: str
    trigger_timestamp: int
    latest_ack_timestamp: int


class LatestCheckpoints(msgspec.Struct, frozen=True):
    """The newest checkpoint of each kind."""

    completed: CompletedCheckpoint | None = None


class Checkpoints(msgspec.Struct, frozen=True):
    """Checkpoint statistics of a job."""

    counts: CheckpointCounts
    latest: LatestCheckpoints


class TaskManager(msgspec.Struct, frozen=True, rename="camel"):
    """One TaskManager that has registered. A dead one stays listed until its heartbeat is missed."""

    slots_number: int
    free_slots: int


class _TaskManagers(msgspec.Struct):
    taskmanagers: list[TaskManager]


class _Jobs(msgspec.Struct):
    jobs: list[JobSummary]


class _Failure(msgspec.Struct):
    stacktrace: str = ""


class _History(msgspec.Struct):
    entries: list[_Failure] = []


class _Exceptions(msgspec.Struct):
    history: _History = msgspec.field(name="exceptionHistory", default_factory=_History)


class _Metric(msgspec.Struct):
    id: str
    value: Annotated[str, msgspec.Meta(pattern=NUMBER)] | None = None


class _Jar(msgspec.Struct):
    id: str
    name: str
    uploaded: int


class _Jars(msgspec.Struct):
    files: list[_Jar]


class _Uploaded(msgspec.Struct):
    filename: str


class _Submitted(msgspec.Struct):
    jobid: str


class _Triggered(msgspec.Struct, rename="kebab"):
    request_id: str


class _Status(msgspec.Struct):
    id: str


class _Cause(msgspec.Struct, rename="kebab"):
    stack_trace: str = "no reason given"


class _Written(msgspec.Struct, rename="kebab"):
    location: str | None = None
    failure_cause: _Cause = msgspec.field(default_factory=_Cause)


class _Savepoint(msgspec.Struct):
    status: _Status
    operation: _Written | None = None


class FlinkRest:
    """A connection to one cluster.

    Methods raise TransientError if Flink is unavailable or the response is malformed, TerminalError if Flink
    refuses the request.
    """

    def __init__(
        self, settings: FlinkSettings, transport: httpx.BaseTransport | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._http = httpx.Client(base_url=settings.url, timeout=timeout_s, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def taskmanagers(self) -> list[TaskManager]:
        """Return the registered TaskManagers."""
        return self.get("/taskmanagers", _TaskManagers).taskmanagers

    def jobs(self) -> list[JobSummary]:
        """Return all jobs of the cluster, newest first."""
        jobs = self.get("/jobs/overview", _Jobs).jobs
        return sorted(jobs, key=lambda job: job.start_time, reverse=True)

    def job(self, job_id: str) -> JobDetails:
        """Return one job with the states of its tasks."""
        return self.get(f"/jobs/{job_id}", JobDetails)

    def checkpoints(self, job_id: str) -> Checkpoints:
        """Return the checkpoint statistics of one job."""
        return self.get(f"/jobs/{job_id}/checkpoints", Checkpoints)

    def exceptions(self, job_id: str) -> list[str]:
        """Return the root causes of the job's failures, newest first."""
        entries = self.get(f"/jobs/{job_id}/exceptions", _Exceptions).history.entries
        return [_root_cause(entry.stacktrace) for entry in entries]

    def metrics(self, job_id: str, names: Sequence[str]) -> dict[str, float]:
        """Return the existing metrics of these names."""
        metrics = self.get(f"/jobs/{job_id}/metrics?get={','.join(names)}", list[_Metric])
        return {metric.id: float(metric.value) for metric in metrics if metric.value is not None}

    def get(self, path: str, kind: type[_T]) -> _T:
        """Request an address that has no method."""
        return self._request("GET", path, kind)

    def ensure_jar(self, jar: Path) -> str:
        """Return the id of the jar in the cluster; upload the jar unless one of its name and content exists."""
        content = jar.read_bytes()
        # Named by its content, because a cluster retains uploaded jars over restarts, those of earlier versions too.
        name = f"{hashlib.sha256(content).hexdigest()[:DIGEST_LENGTH]}-{jar.name}"
        existing = [file for file in self.get("/jars", _Jars).files if file.name == name]
        if existing:
            return max(existing, key=lambda file: file.uploaded).id
        files = {"jarfile": (name, content, "application/java-archive")}
        uploaded = self._request("POST", "/jars/upload", _Uploaded, files=files, timeout=RUN_TIMEOUT_S)
        return Path(uploaded.filename).name

    def run(self, jar_id: str, body: Mapping[str, Any]) -> str:
        """Run a jar's program; return the id of the submitted job.

        After a timeout the program may still submit the job.
        """
        return self._request("POST", f"/jars/{jar_id}/run", _Submitted, json=dict(body), timeout=RUN_TIMEOUT_S).jobid

    def start_stop(self, job_id: str) -> str:
        """Begin to stop a job with a savepoint; return the request id for `stop_result`."""
        body = {"drain": False}
        return self._request("POST", f"/jobs/{job_id}/stop", _Triggered, json=body).request_id

    def stop_result(self, job_id: str, request_id: str) -> str | None:
        """Return the savepoint's location, None while it is written. Raises TerminalError if it failed."""
        savepoint = self.get(f"/jobs/{job_id}/savepoints/{request_id}", _Savepoint)
        if savepoint.status.id != "COMPLETED":
            return None
        operation = savepoint.operation or _Written()
        if operation.location is not None:
            return operation.location
        cause = _root_cause(operation.failure_cause.stack_trace)
        raise TerminalError(f"the savepoint failed: {cause}", "the job runs on; see the JobManager's log")

    def cancel(self, job_id: str) -> None:
        """Cancel a job; its checkpoints remain."""
        self._request("PATCH", f"/jobs/{job_id}?mode=cancel", dict[str, Any])

    def _request(self, method: str, path: str, kind: type[_T], **options: Any) -> _T:
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise unavailable(f"{method} {path}", f"Flink at {self._http.base_url}", error) from error
        if response.status_code in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT):
            raise TransientError(f"Flink is not ready ({response.status_code})", "try again in some seconds")
        # A query is safe to repeat, although Flink also responds 500 to a program that could not start.
        if response.is_server_error and method == "GET":
            raise TransientError(f"Flink failed to respond to {path}: {_reason(response)}", "see the JobManager's log")
        if response.is_error:
            raise TerminalError(f"Flink refused {method} {path}: {_reason(response)}", "see the JobManager's log")
        try:
            return msgspec.json.decode(response.content or b"{}", type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            message = f"what answers {method} {path} at {self._http.base_url} is not Flink's JSON ({error})"
            raise TransientError(message, "check that the address is Flink's and that Flink is not starting") from error


def _reason(response: httpx.Response) -> str:
    return f"{response.status_code} {_root_cause(response.text.replace(chr(92) + 'n', chr(10)))}"


def _root_cause(trace: str) -> str:
    """Return the last cause of a Java stack trace, else its first line."""
    lines = [line.strip() for line in trace.splitlines()] or [""]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return (causes[-1] if causes else lines[0])[:MAX_CAUSE_CHARS]
