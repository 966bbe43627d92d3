"""Getting the stream to run: from its newest restore point, and where that is broken from the next older one."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tenacity import wait_fixed

from include.clients.errors import with_retries
from include.clients.flink import FlinkRest
from include.contracts.errors import NotReadyError, TerminalError
from include.supervise.stream_job import JobIds, JobProgram, RestorePoint, cancel, restore_points, running_job, submit

POINTS_TRIED = 3
CANCEL_S = 60.0
POLL_S = 0.5
# One restart may be bad luck; a state that cannot be restored fails each time.
RESTARTS_TRIED = 2


def start_stream(
    flink: FlinkRest,
    program: JobProgram,
    state: Path,
    *,
    within_s: float,
    ids: JobIds,
    say: Callable[[str], None],
) -> str:
    """End a job that is stuck, start it anew and wait until it runs; returns what came of it, in one line.

    `ids` gives the job's id and may forbid a try. Raises TransientError while Flink is away, NotReadyError
    when the job does not run in time (it is left to itself), TerminalError when no restore point works.
    """
    if running_job(flink) is not None:
        say(f"cancelled the job {cancel(flink, CANCEL_S)}, which was stuck")
    failures: list[str] = []
    points: list[RestorePoint | None] = [*restore_points(state)[:POINTS_TRIED]]
    for point in points or [None]:
        ids.extend()
        source = "nothing" if point is None else str(point.path)
        try:
            job_id = submit(flink, program, point, ids)
            _until_it_runs(flink, job_id, within_s)
        except TerminalError as error:
            failures.append(f"from {source}: {error.message}")
            say(f"could not start from {source}: {error.message}")
            _give_up(flink)
            continue
        return _told(job_id, point, failures, points[0] if points else None)
    raise TerminalError("; ".join(failures), "see the JobManager's log; ./showroom stream resume --from another one")


def _told(job_id: str, point: RestorePoint | None, failures: list[str], newest: RestorePoint | None) -> str:
    source = "without a state" if point is None else f"from {point.path}"
    broken = f"; older than what could be had: {'; '.join(failures)}" if failures else ""
    return f"job {job_id} runs, started {source}{_of_older_job(point, newest)}{broken}"


def _of_older_job(point: RestorePoint | None, newest: RestorePoint | None) -> str:
    """That the stream reads again what an earlier job had read since; nothing is counted twice, but it takes time."""
    if point is None or newest is None or point.job == newest.job:
        return ""
    written = datetime.fromtimestamp(point.written, UTC)
    return f" of an earlier job, written {written:%Y-%m-%dT%H:%M:%SZ}: all sessions since then are read again"


def _until_it_runs(flink: FlinkRest, job_id: str, within_s: float) -> None:
    def look() -> None:
        job = flink.job(job_id)
        if job.ended:
            raise TerminalError(f"the job is {job.state}: {_failure(flink, job_id)}", "see the JobManager's log")
        if job.state == "RUNNING" and not job.idle_tasks:
            return
        if flink.metrics(job_id, ["numRestarts"]).get("numRestarts", 0) >= RESTARTS_TRIED:
            raise TerminalError(f"the job fails again and again: {_failure(flink, job_id)}", "see Flink's logs")
        raise NotReadyError(f"the job {job_id} is {job.state}, tasks {job.idle_tasks}", "see Flink's logs")

    with_retries(look, wait=wait_fixed(POLL_S), deadline_s=within_s)


def _give_up(flink: FlinkRest) -> None:
    """End what is left of a job that could not start."""
    if running_job(flink) is not None:
        cancel(flink, CANCEL_S)


def _failure(flink: FlinkRest, job_id: str) -> str:
    return next(iter(flink.exceptions(job_id)), "no failure reported")
