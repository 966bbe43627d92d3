"""The stream job on the local stack: where its files and its state lie, and its start with all it needs."""

from collections.abc import Callable
from pathlib import Path

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from include.contracts.errors import NotReadyError, TransientError
from include.contracts.settings import Settings
from include.contracts.stream import JOB_FILE
from include.local.layout import Layout
from include.local.program import nothing
from include.local.project import ROOT
from include.local.servers.flink import data_dir, flink_home
from include.serving.client import connect
from include.serving.templates import ensure_templates
from include.supervise.flink_rest import FlinkRest
from include.supervise.stream_job import (
    POLL_S,
    START_DEADLINE_S,
    JobProgram,
    RestorePoint,
    newest_restore_point,
    observe,
    submit,
    wait_running,
)


def job_program() -> JobProgram:
    """The job of this project folder and the jar inside PyFlink that runs Python jobs."""
    jar = next((flink_home() / "opt").glob("flink-python-*.jar"))
    return JobProgram(jar=jar, root=str(ROOT), script=str(ROOT / JOB_FILE))


def state_folder(settings: Settings) -> Path:
    """Where the stack's checkpoints and savepoints lie."""
    return data_dir(Layout.of(settings))


def start_job(settings: Settings, *, restore: RestorePoint | None = None, deadline_s: float = START_DEADLINE_S) -> str:
    """Make the index templates, submit the job and wait until it runs; returns its id."""
    with connect(settings) as client:
        ensure_templates(client, settings)
    with FlinkRest(settings) as flink:
        job_id = submit(flink, job_program(), restore)
        wait_running(flink, job_id, deadline_s)
    return job_id


def resume_job(settings: Settings, *, deadline_s: float = START_DEADLINE_S) -> tuple[str, RestorePoint | None]:
    """`start_job` from the newest complete checkpoint or savepoint, from nothing where there is none."""
    restore = newest_restore_point(state_folder(settings))
    return start_job(settings, restore=restore, deadline_s=deadline_s), restore


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
            job = observe(flink)
        if job is None:
            raise NotReadyError("nobody has started the stream job", "see supervise_stream in Airflow")
        if job.state != "RUNNING" or job.idle_tasks or not job.checkpoints:
            missing = f"tasks {job.idle_tasks}, {job.checkpoints} checkpoints"
            raise NotReadyError(f"the stream job is {job.state}, {missing}", "see ./showroom logs flink-jobmanager")
        return job.job_id

    retrying = Retrying(
        stop=stop_after_delay(deadline_s),
        wait=wait_fixed(POLL_S),
        retry=retry_if_exception_type(TransientError),
        reraise=True,
    )
    return retrying(look)
