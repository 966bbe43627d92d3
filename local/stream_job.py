"""Stream job of the local stack: its files and state, and its submission."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from tenacity import wait_fixed

from include.clients.elasticsearch import connect
from include.clients.errors import with_retries
from include.clients.flink import FlinkRest
from include.contracts.errors import NotReadyError
from include.contracts.settings import FlinkSettings, LocalSettings, Settings
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
    """Return the project's job and its jar, which Flink loads before PyFlink's own classes."""
    return JobProgram(jar=ensure_flink_jar(), root=str(ROOT), script=str(ROOT / JOB_FILE))


def state_folder(settings: LocalSettings) -> Path:
    """Return the folder of the stack's checkpoints and savepoints."""
    return data_dir(Layout.of(settings))


def supervise_folder(settings: LocalSettings) -> Path:
    """Return the folder of the supervisor's files."""
    return Layout.of(settings).data / "supervise"


def start_job(settings: Settings, *, restore: RestorePoint | None = None, deadline_s: float = START_DEADLINE_S) -> str:
    """Create the index templates, submit the job and wait until it runs; return its id.

    Raises:
        TransientError: Another command or the supervisor is changing the job, or Redis is unavailable.
    """
    with require_supervisor_lock(settings.redis) as lease:
        return _start(settings, restore, deadline_s, lease)


def resume_job(settings: Settings, *, deadline_s: float = START_DEADLINE_S) -> tuple[str, RestorePoint | None]:
    """Start the job from the newest complete checkpoint or savepoint, or without state if there is none.

    Returns:
        Id of the job and the restore point.
    """
    with require_supervisor_lock(settings.redis) as lease:
        restore = newest_restore_point(state_folder(settings.local))
        return _start(settings, restore, deadline_s, lease), restore


def stop_job(settings: Settings, deadline_s: float) -> RestorePoint:
    """Stop the job with a savepoint and return the savepoint. Raises like `start_job`."""
    with require_supervisor_lock(settings.redis), FlinkRest(settings.flink) as flink:
        return stop_with_savepoint(flink, deadline_s)


def cancel_job(settings: Settings, deadline_s: float, *, locked: bool = True) -> str:
    """Cancel the job immediately and return its id. Raises like `start_job`, unless `locked` is False."""
    with require_supervisor_lock(settings.redis) if locked else nullcontext(), FlinkRest(settings.flink) as flink:
        return cancel(flink, deadline_s)


def _start(settings: Settings, restore: RestorePoint | None, deadline_s: float, lease: LockLease) -> str:
    with connect(settings.elasticsearch) as client:
        ensure_templates(client, settings.elasticsearch)
    with FlinkRest(settings.flink) as flink:
        job_id = submit(flink, job_program(), restore, lease)
        wait_running(flink, job_id, deadline_s)
    return job_id


def wait_started(settings: FlinkSettings, deadline_s: float, check: Callable[[], None] = nothing) -> str:
    """Wait until the supervisor has started the job and a checkpoint is complete; return its id.

    Args:
        settings: Settings of the stack.
        deadline_s: Seconds to wait.
        check: Called before each poll. A TerminalError that it raises ends the wait.

    Raises:
        NotReadyError: The job does not run, or has no checkpoint, at the deadline.
    """

    def require_started() -> str:
        check()
        with FlinkRest(settings) as flink:
            job = get_job_status(flink)
        if job is None:
            raise NotReadyError("start of the stream job failed: no job is running", "see supervise_stream in Airflow")
        if job.state != "RUNNING" or job.idle_tasks or not job.checkpoints:
            missing = f"tasks {job.idle_tasks}, {job.checkpoints} checkpoints"
            raise NotReadyError(f"the stream job is {job.state}, {missing}", "see ./showroom logs flink-jobmanager")
        return job.job_id

    return with_retries(require_started, wait=wait_fixed(POLL_INTERVAL_S), deadline_s=deadline_s)
