"""Submit, stop, resume and wait for the stream job; there is never more than one."""

import glob
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from tenacity import wait_fixed

from include.clients.errors import with_retries
from include.clients.flink import FlinkRest, JobSummary
from include.contracts.errors import NotReadyError, TerminalError, TransientError
from include.contracts.stream import JOB_NAME

ENTRY_CLASS = "org.apache.flink.client.python.PythonDriver"
POLL_INTERVAL_S = 0.5
START_DEADLINE_S = 120.0
STOP_DEADLINE_S = 120.0
METADATA = "_metadata"

_T = TypeVar("_T")


class JobProgram(NamedTuple):
    """Files of the job.

    Attributes:
        jar: The project's jar for Flink; it is read here and uploaded. Flink adds flink-python itself.
        root: Folder on the Python path, inside the cluster.
        script: The job's script, inside the cluster.
    """

    jar: Path
    root: str
    script: str


class RestorePoint(NamedTuple):
    """A complete checkpoint or savepoint. `written` in Unix seconds."""

    path: Path
    written: float

    @property
    def uri(self) -> str:
        """The path as a URI."""
        return self.path.absolute().as_uri()

    @property
    def job(self) -> str | None:
        """The id of the checkpoint's job; None for a savepoint."""
        return self.path.parent.name if self.path.name.startswith("chk-") else None


class JobStatus(NamedTuple):
    """Status of the running job; `failures` newest first."""

    job_id: str
    state: str
    idle_tasks: dict[str, int]
    checkpoints: int
    checkpoint_age_s: float | None
    restarts: int
    failures: list[str]


def get_job_status(flink: FlinkRest) -> JobStatus | None:
    """Return the status of the running job, None without one. Ages are by the cluster's clock."""
    summary = running_job(flink)
    if summary is None:
        return None
    job, checkpoints = flink.job(summary.jid), flink.checkpoints(summary.jid)
    completed = checkpoints.latest.completed
    return JobStatus(
        job_id=job.jid,
        state=job.state,
        idle_tasks=job.idle_tasks,
        checkpoints=checkpoints.counts.completed,
        checkpoint_age_s=None if completed is None else (job.now - completed.latest_ack_timestamp) / 1_000,
        restarts=int(flink.metrics(job.jid, ["numRestarts"]).get("numRestarts", 0)),
        failures=flink.exceptions(job.jid),
    )


def running_job(flink: FlinkRest) -> JobSummary | None:
    """Return the stream job that has not ended, None without one."""
    return _running(flink.jobs())


def _running(jobs: Iterable[JobSummary]) -> JobSummary | None:
    return next((job for job in jobs if job.name == JOB_NAME and not job.has_ended), None)


def _state_of(flink: FlinkRest, job_id: str) -> str | None:
    """Return the state of a job that has not ended, None for an ended one. A duplicate job does not matter."""
    return next((job.state for job in flink.jobs() if job.jid == job_id and not job.has_ended), None)


class JobIds(Protocol):
    """Source of the ids of submissions, such as `LockLease`."""

    def extend(self) -> None:
        """Raise TransientError if the lock was lost."""

    def job_id(self) -> str:
        """Return the id of the next submission, the same until it is spent."""

    def spend(self, job_id: str) -> None:
        """Discard this id."""


def submit(
    flink: FlinkRest, program: JobProgram, restore: RestorePoint | None = None, ids: JobIds | None = None
) -> str:
    """Submit the job and return its id before it runs.

    Args:
        flink: The cluster.
        program: Files of the job.
        restore: Where to resume from; None: without state.
        ids: Source of the job's id. Flink then refuses a second job: see `LockLease.job_id`.

    Raises:
        TerminalError: A job exists: two would write the same documents and commit the same offsets.
    """
    existing = flink.jobs()
    _require_none(existing)
    jar_id = flink.ensure_jar(program.jar)
    body: dict[str, object] = {
        "entryClass": ENTRY_CLASS,
        "programArgsList": ["-py", program.script, "-pypath", program.root],
    }
    if restore is not None:
        body |= {"savepointPath": restore.uri, "allowNonRestoredState": False}
    job_id = None if ids is None else _unused_id(ids, existing)
    if job_id is not None:
        body["jobId"] = job_id
    try:
        started = flink.run(jar_id, body)
    except TerminalError as error:
        # The error itself has no cause: only that the Python process ended.
        new = [job for job in flink.jobs() if job.jid not in {earlier.jid for earlier in existing}]
        _require_none(new)
        if not new:
            raise
        raise TerminalError(f"the job could not start: {_last_failure(flink, new[0].jid)}", error.remedy) from error
    if ids is not None:
        # Otherwise the next submission finds the job and spends the id.
        with suppress(TransientError):
            ids.spend(started)
    return started


def _require_none(jobs: Iterable[JobSummary]) -> None:
    present = _running(jobs)
    if present is not None:
        message = f"job {JOB_NAME} already exists ({present.jid}, {present.state})"
        raise TerminalError(message, "stop or cancel it first")


def _unused_id(ids: JobIds, existing: Iterable[JobSummary]) -> str:
    """Return the id of the next submission, never that of a job that has ended, which Flink would refuse."""
    ids.extend()
    job_id = ids.job_id()
    if all(job.jid != job_id for job in existing):
        return job_id
    ids.spend(job_id)
    return ids.job_id()


def stop_with_savepoint(flink: FlinkRest, deadline_s: float = STOP_DEADLINE_S) -> RestorePoint:
    """Stop the running job with a savepoint; return the savepoint.

    Raises NotReadyError past the deadline: while Elasticsearch is unavailable, no savepoint can complete.
    """
    job = _require_running(flink)
    request = flink.start_stop(job.jid)

    def location() -> RestorePoint:
        uri = flink.stop_result(job.jid, request)
        if uri is None:
            raise NotReadyError("the savepoint is not complete", "check Elasticsearch, or cancel the job")
        return restore_point(Path(unquote(urlsplit(uri).path)))

    def ended() -> None:
        if _state_of(flink, job.jid) is not None:
            raise NotReadyError("the savepoint is complete but the job has not ended", "see the JobManager's log")

    point = _poll(location, deadline_s)
    _poll(ended, deadline_s)
    return point


def cancel(flink: FlinkRest, deadline_s: float = STOP_DEADLINE_S) -> str:
    """Cancel the running job and wait until it has ended; return its id. Its checkpoints remain for `resume`."""
    job = _require_running(flink)
    flink.cancel(job.jid)

    def ended() -> str:
        state = _state_of(flink, job.jid)
        if state is not None:
            raise NotReadyError(f"the job is still {state}", "see the TaskManager's log")
        return job.jid

    return _poll(ended, deadline_s)


def wait_running(flink: FlinkRest, job_id: str, deadline_s: float = START_DEADLINE_S, checkpoints: int = 1) -> None:
    """Wait until all tasks run and `checkpoints` checkpoints have completed.

    Raises TerminalError if the job has ended, NotReadyError with the reason past the deadline.
    """

    def healthy() -> None:
        job = flink.job(job_id)
        if job.state in ("FAILED", "CANCELED", "FINISHED"):
            raise TerminalError(f"the job is {job.state}: {_last_failure(flink, job_id)}", "see the JobManager's log")
        if job.state != "RUNNING" or job.idle_tasks:
            raise NotReadyError(
                f"the job is {job.state}, tasks {job.idle_tasks}: {_last_failure(flink, job_id)}", "see Flink's logs"
            )
        completed = flink.checkpoints(job_id).counts.completed
        if completed < checkpoints:
            raise NotReadyError(f"{completed} checkpoints are complete, {checkpoints} expected", "see Flink's logs")

    _poll(healthy, deadline_s)


def restore_points(state: Path) -> list[RestorePoint]:
    """Return the complete checkpoints of all jobs and the savepoints below a Flink data folder, newest first.

    Flink deletes old checkpoints concurrently; deleted ones are omitted.
    """
    points: list[RestorePoint] = []
    for pattern in (f"checkpoints/*/chk-*/{METADATA}", f"savepoints/*/{METADATA}"):
        # Path.glob raises when a folder vanishes while it is read.
        for name in glob.glob(pattern, root_dir=state):  # noqa: PTH207
            with suppress(FileNotFoundError):
                metadata = state / name
                points.append(RestorePoint(metadata.parent, metadata.stat().st_mtime))
    return sorted(points, key=lambda point: point.written, reverse=True)


def restore_point(path: Path) -> RestorePoint:
    """Return a checkpoint or savepoint by its folder. Raises TerminalError for a missing or incomplete one."""
    metadata = path / METADATA
    if not metadata.is_file():
        raise TerminalError(f"{path} is not a complete checkpoint or savepoint", "./showroom stream prune lists others")
    return RestorePoint(path, metadata.stat().st_mtime)


def newest_restore_point(state: Path) -> RestorePoint | None:
    """Return the restore point of `resume`; a folder without metadata is an incomplete checkpoint."""
    return next(iter(restore_points(state)), None)


def prune(state: Path, running: Iterable[str], *, delete: bool = False) -> list[Path]:
    """Return the folders that no job requires: checkpoints of ended jobs and savepoints, except the newest.

    Args:
        state: Flink's data folder.
        running: Ids of jobs that have not ended.
        delete: Whether to delete them.
    """
    newest = newest_restore_point(state)
    retained = {state / "checkpoints" / job_id for job_id in running}
    if newest is not None:
        retained |= {newest.path, newest.path.parent}
    folders = sorted((*state.glob("checkpoints/*"), *state.glob("savepoints/*")))
    unused = [folder for folder in folders if folder.is_dir() and folder not in retained]
    if delete:
        for folder in unused:
            shutil.rmtree(folder)
    return unused


def _require_running(flink: FlinkRest) -> JobSummary:
    job = running_job(flink)
    if job is None:
        raise TerminalError(f"no job {JOB_NAME} is running", "./showroom stream submit, or resume")
    return job


def _last_failure(flink: FlinkRest, job_id: str) -> str:
    return next(iter(flink.exceptions(job_id)), "no failure reported")


def _poll(check: Callable[[], _T], deadline_s: float) -> _T:
    return with_retries(check, wait=wait_fixed(POLL_INTERVAL_S), deadline_s=deadline_s)
