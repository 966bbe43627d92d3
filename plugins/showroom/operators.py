"""Operators on the stream job; those that change the job run in the pool `stream`, one at a time."""

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context

from showroom.fail_fast import fail_fast_on_terminal
from showroom.links import JOB_KEY, DashboardLink, FlinkJobLink
from showroom.settings import job_program, state_folder

if TYPE_CHECKING:
    from include.clients.flink import FlinkRest
    from include.contracts.settings import ElasticsearchSettings, Settings
    from include.supervise.decision_log import LockLease
    from include.supervise.observation import Observation
    from include.supervise.stream_job import RestorePoint

POOL = "stream"


class StreamOperator(BaseOperator):
    """Base of the operators on the job; each runs under the supervisor lock.

    Fails at once if a retry cannot help, with the remedy in the message.
    """

    operator_extra_links = (FlinkJobLink(), DashboardLink())

    def __init__(self, *, flink_conn_id: str | None = None, pool: str = POOL, **kwargs: Any) -> None:
        super().__init__(pool=pool, **kwargs)
        self.flink_conn_id = flink_conn_id

    def execute(self, context: Context) -> Any:
        """Run `execute_on_job` under the lock."""
        from include.supervise.decision_log import require_supervisor_lock
        from showroom.hooks import FlinkHook

        hook = FlinkHook(self.flink_conn_id)
        with fail_fast_on_terminal(), hook.get_conn() as flink, require_supervisor_lock(hook.settings().redis) as lease:
            return self.execute_on_job(flink, hook.settings(), context, lease)

    def execute_on_job(self, flink: "FlinkRest", settings: "Settings", context: Context, lease: "LockLease") -> Any:
        """Change the job; `lease` is the lock."""
        raise NotImplementedError


class SubmitStreamOperator(StreamOperator):
    """Start the job without state and wait until it runs; the result is its id. Fails if a job exists."""

    def execute_on_job(self, flink: "FlinkRest", settings: "Settings", context: Context, lease: "LockLease") -> str:
        """Submit the job."""
        return _start(flink, settings, context, None, lease)


class ResumeStreamOperator(StreamOperator):
    """Start the job from its newest checkpoint or savepoint, empty if there is none; the result is its id."""

    def execute_on_job(self, flink: "FlinkRest", settings: "Settings", context: Context, lease: "LockLease") -> str:
        """Resume the job."""
        from include.supervise.stream_job import newest_restore_point

        point = newest_restore_point(state_folder(settings))
        self.log.info("from %s", point.path if point else "no restore point")
        return _start(flink, settings, context, point, lease)


class StopStreamOperator(StreamOperator):
    """Stop the job with a savepoint; the result is the savepoint's folder."""

    def execute_on_job(self, flink: "FlinkRest", settings: "Settings", context: Context, lease: "LockLease") -> str:
        """Stop the job."""
        from include.supervise.stream_job import stop_with_savepoint

        return str(stop_with_savepoint(flink).path)


class CancelStreamOperator(StreamOperator):
    """Cancel the job immediately; its checkpoints are retained. The result is its id."""

    def execute_on_job(self, flink: "FlinkRest", settings: "Settings", context: Context, lease: "LockLease") -> str:
        """Cancel the job."""
        from include.supervise.stream_job import cancel

        return cancel(flink)


class SuperviseOperator(BaseOperator):
    """Run one supervision cycle: observe, decide, restart, record, alert, index the events.

    Never fails for an unavailable server. The result is action, alert, reason and outcome.

    Args:
        sensor_task_id: The upstream `StreamHealthSensor`, whose observations are part of the history.
        pool: Airflow's pool.
        **kwargs: Of BaseOperator.
    """

    operator_extra_links = (FlinkJobLink(), DashboardLink())

    def __init__(self, *, sensor_task_id: str | None = None, pool: str = POOL, **kwargs: Any) -> None:
        super().__init__(pool=pool, **kwargs)
        self.sensor_task_id = sensor_task_id

    def execute(self, context: Context) -> dict[str, str | None]:
        """Run the cycle."""
        from include.supervise.stage_status import decisions
        from include.supervise.supervisor import run_cycle
        from showroom.settings import load_settings
        from showroom.tasks.pipeline import MAX_MISSED_DECISIONS, index_missed_decisions

        settings = load_settings()
        pulled = context["ti"].xcom_pull(task_ids=self.sensor_task_id) if self.sensor_task_id else None
        with fail_fast_on_terminal():
            record = run_cycle(
                settings,
                job_program(settings),
                state_folder(settings),
                prepare=lambda: _prepare(settings.elasticsearch),
                on_progress=self.log.info,
                earlier=self._observations(pulled),
            )
        index_missed_decisions(settings.elasticsearch, decisions(settings.redis, MAX_MISSED_DECISIONS) or [record])
        job = getattr(record.observation.flink, "job", None)
        if job is not None:
            context["ti"].xcom_push(key=JOB_KEY, value=job.id)
        decision = record.decision
        return {
            "action": decision.action,
            "alert": decision.alert,
            "reason": decision.reason,
            "outcome": record.outcome,
        }

    def _observations(self, pulled: Any) -> "list[Observation]":
        """Return the sensor's observations; none if they cannot be decoded."""
        import msgspec

        from include.supervise.observation import Observation

        try:
            observations = pulled["observations"] if pulled else []
            return msgspec.convert(observations, list[Observation], str_keys=True)
        except (msgspec.ValidationError, KeyError, TypeError) as error:
            self.log.warning("decode the sensor's observations failed: %s", error)
            return []


def _start(
    flink: "FlinkRest", settings: "Settings", context: Context, point: "RestorePoint | None", lease: "LockLease"
) -> str:
    from include.supervise.stream_job import submit, wait_running

    _prepare(settings.elasticsearch)
    job_id = submit(flink, job_program(settings), point, lease)
    context["ti"].xcom_push(key=JOB_KEY, value=job_id)
    wait_running(flink, job_id)
    return job_id


def _prepare(settings: "ElasticsearchSettings") -> None:
    """Create the index templates before the job's first document."""
    from include.clients.elasticsearch import connect
    from include.serving.templates import ensure_templates

    with connect(settings) as client:
        ensure_templates(client, settings)
