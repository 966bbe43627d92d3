"""The stream job on the local stack: where its files and its state lie, and its start with all it needs."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from tenacity import wait_fixed

from include.clients.elasticsearch import connect
from include.clients.errors import with_retries
from include.clients.flink import FlinkRest
from include.contracts.errors import NotReadyError
from include.contracts.settings import Settings
from include.contracts.stream import JOB_FILE
from include.serving.templates import ensure_templates
from include.supervise.decision_log import LockLease, require_supervisor_lock
from include.supervise.stream_job import (
    POLL_INTERVAL_S,
    START_DEADLINE_S,
    JobProgram,
    RestorePoint,
    cancel,
    get_job_status,
    newest_restore_point,
    stop_with_savepoint,
    submit,
    wait_running,
)
from local.install.flink_jar import ensure_flink_jar
from local.layout import Layout
from local.program import nothing
from local.project import ROOT
from local.servers.flink import data_dir


def job_program() -> JobProgram:
    """The job of this project folder and the project's jar, which Flink puts before PyFlink's own."""
    return JobProgram(jar=ensure_flink_jar(), root=str(ROOT), script=str(ROOT / JOB_FILE))


def state_folder(settings: Settings) -> Path:
    """Where the stack's checkpoints and savepoints lie."""
    return data_dir(Layout.of(settings))


def supervise_folder(settings: Settings) -> Path:
    """Where the supervisor's own files lie."""
    return Layout.of(settings).data / "supervise"


def start_job(settings: Settings, *, restore: RestorePoint | None = None, deadline_s: float = START_DEADLINE_S) -> str:
    """Make the index templates, submit the job and wait until it runs; returns its id.

    Raises TransientError while another command or the supervisor changes the job, or Redis is away.
    """
    with require_supervisor_lock(settings) as turn:
        return _start(settings, restore, deadline_s, turn)


def resume_job(settings: Settings, *, deadline_s: float = START_DEADLINE_S) -> tuple[str, RestorePoint | None]:
    """`start_job` from the newest complete checkpoint or savepoint, from nothing where there is none."""
    with require_supervisor_lock(settings) as turn:
        restore = newest_restore_point(state_folder(settings))
        return _start(settings, restore, deadline_s, turn), restore


def stop_job(settings: Settings, deadline_s: float) -> RestorePoint:
    """Stop the job with a savepoint; returns the savepoint. Raises as `start_job` does."""
    with require_supervisor_lock(settings), FlinkRest(settings) as flink:
        return stop_with_savepoint(flink, deadline_s)


def cancel_job(settings: Settings, deadline_s: float, *, locked: bool = True) -> str:
    """End the job at once; returns its id. Raises as `start_job` does, unless it is not to be `locked`."""
    with require_supervisor_lock(settings) if locked else nullcontext(), FlinkRest(settings) as flink:
        return cancel(flink, deadline_s)


def _start(settings: Settings, restore: RestorePoint | None, deadline_s: float, turn: LockLease) -> str:
    with connect(settings) as client:
        ensure_templates(client, settings)
    with FlinkRest(settings) as flink:
        job_id = submit(flink, job_program(), restore, turn)
        wait_running(flink, job_id, deadline_s)
    return job_id


def wait_started(settings: Settings, deadline_s: float, check: Callable[[], None] = nothing) -> str:
    """Wait until somebody else has started the job and a checkpoint has completed; returns its id.

    Args:
        settings: Settings of the stack.
        deadline_s: Seconds to wait.
        check: Called before each look; a TerminalError that it raises ends the wait.

    Raises:
        NotReadyError: With what is missing, past the deadline.
    """

    def look() -> str:
        check()
        with FlinkRest(settings) as flink:
            job = get_job_status(flink)
        if job is None:
            raise NotReadyError("nobody has started the stream job", "see supervise_stream in Airflow")
        if job.state != "RUNNING" or job.idle_tasks or not job.checkpoints:
            missing = f"tasks {job.idle_tasks}, {job.checkpoints} checkpoints"
            raise NotReadyError(f"the stream job is {job.state}, {missing}", "see ./showroom logs flink-jobmanager")
        return job.job_id

    return with_retries(look, wait=wait_fixed(POLL_INTERVAL_S), deadline_s=deadline_s)
