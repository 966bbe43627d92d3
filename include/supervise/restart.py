"""Restart the stream job from its newest restore point, or from an older one if that is broken."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tenacity import wait_fixed

from include.clients.errors import with_retries
from include.clients.flink import FlinkRest
from include.contracts.errors import NotReadyError, TerminalError
from include.supervise.stream_job import JobIds, JobProgram, RestorePoint, cancel, restore_points, running_job, submit

MAX_RESTORE_POINTS = 3
CANCEL_TIMEOUT_S = 60.0
POLL_INTERVAL_S = 0.5
# Two, because one restart may be a coincidence; a state that cannot be restored fails each time.
MAX_TASK_RESTARTS = 2


def restart_stream(
    flink: FlinkRest,
    program: JobProgram,
    state: Path,
    *,
    within_s: float,
    ids: JobIds,
    on_progress: Callable[[str], None],
) -> str:
    """Cancel a stuck job, submit it again and wait until it runs.

    Args:
        flink: The cluster.
        program: Files of the job.
        state: Flink's data folder.
        within_s: Seconds for each restore point.
        ids: Source of the job's id, which may forbid an attempt.
        on_progress: Called with a line for each step.

    Returns:
        The outcome, in one line.

    Raises:
        TransientError: Flink is unavailable.
        NotReadyError: The job does not run in time; it is left running.
        TerminalError: No restore point works.
    """
    if running_job(flink) is not None:
        on_progress(f"cancelled the job {cancel(flink, CANCEL_TIMEOUT_S)}, which was stuck")
    failures: list[str] = []
    points: list[RestorePoint | None] = [*restore_points(state)[:MAX_RESTORE_POINTS]]
    for point in points or [None]:
        ids.extend()
        source = "nothing" if point is None else str(point.path)
        try:
            job_id = submit(flink, program, point, ids)
            _wait_until_running(flink, job_id, within_s)
        except TerminalError as error:
            failures.append(f"from {source}: {error.message}")
            on_progress(f"could not start from {source}: {error.message}")
            _cancel_failed_job(flink)
            continue
        return _summarize(job_id, point, failures, points[0] if points else None)
    raise TerminalError("; ".join(failures), "see the JobManager's log; ./showroom stream resume --from another one")


def _summarize(job_id: str, point: RestorePoint | None, failures: list[str], newest: RestorePoint | None) -> str:
    source = "without a state" if point is None else f"from {point.path}"
    broken = f"; older than the newest, which failed: {'; '.join(failures)}" if failures else ""
    return f"job {job_id} runs, started {source}{_note_older_job(point, newest)}{broken}"


def _note_older_job(point: RestorePoint | None, newest: RestorePoint | None) -> str:
    """Return a note that the job reads sessions again since an older restore point; empty for the newest."""
    if point is None or newest is None or point.job == newest.job:
        return ""
    written = datetime.fromtimestamp(point.written, UTC)
    return f" of an earlier job, written {written:%Y-%m-%dT%H:%M:%SZ}: all sessions since then are read again"


def _wait_until_running(flink: FlinkRest, job_id: str, within_s: float) -> None:
    def check() -> None:
        job = flink.job(job_id)
        if job.has_ended:
            raise TerminalError(f"the job is {job.state}: {_failure(flink, job_id)}", "see the JobManager's log")
        if job.state == "RUNNING" and not job.idle_tasks:
            return
        if flink.metrics(job_id, ["numRestarts"]).get("numRestarts", 0) >= MAX_TASK_RESTARTS:
            raise TerminalError(f"the job fails repeatedly: {_failure(flink, job_id)}", "see Flink's logs")
        raise NotReadyError(f"the job {job_id} is {job.state}, tasks {job.idle_tasks}", "see Flink's logs")

    with_retries(check, wait=wait_fixed(POLL_INTERVAL_S), deadline_s=within_s)


def _cancel_failed_job(flink: FlinkRest) -> None:
    """Cancel the job that could not start, unless it has ended."""
    if running_job(flink) is not None:
        cancel(flink, CANCEL_TIMEOUT_S)


def _failure(flink: FlinkRest, job_id: str) -> str:
    return next(iter(flink.exceptions(job_id)), "no failure reported")
