"""Operators on the stream job; those that change it run in the pool `stream`, one at a time."""

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context

from showroom.environment import job_program, state_folder
from showroom.links import JOB_KEY, DashboardLink, FlinkJobLink
from showroom.verdicts import verdicts

if TYPE_CHECKING:
    from include.clients.flink import FlinkRest
    from include.contracts.settings import Settings
    from include.supervise.journal import Turn
    from include.supervise.observation import Observation
    from include.supervise.stream_job import RestorePoint

POOL = "stream"


class StreamOperator(BaseOperator):
    """Base of the operators on the job; each acts under the supervisor's lock.

    Fails at once where no retry can help, with the remedy in the message.
    """

    operator_extra_links = (FlinkJobLink(), DashboardLink())

    def __init__(self, *, flink_conn_id: str | None = None, pool: str = POOL, **kwargs: Any) -> None:
        super().__init__(pool=pool, **kwargs)
        self.flink_conn_id = flink_conn_id

    def execute(self, context: Context) -> Any:
        """Do it on the cluster."""
        from include.supervise.journal import my_turn
        from showroom.hooks import FlinkHook

        hook = FlinkHook(self.flink_conn_id)
        with verdicts(), hook.get_conn() as flink, my_turn(hook.settings()) as turn:
            return self.change(flink, hook.settings(), context, turn)

    def change(self, flink: "FlinkRest", settings: "Settings", context: Context, turn: "Turn") -> Any:
        """What this operator does with the job, by the right to act."""
        raise NotImplementedError


class SubmitStreamOperator(StreamOperator):
    """Start the job without any state and wait until it runs; the result is its id. Fails where one is there."""

    def change(self, flink: "FlinkRest", settings: "Settings", context: Context, turn: "Turn") -> str:
        """Submit."""
        return _start(flink, settings, context, None, turn)


class ResumeStreamOperator(StreamOperator):
    """Start the job from its newest checkpoint or savepoint, empty where there is none; the result is its id."""

    def change(self, flink: "FlinkRest", settings: "Settings", context: Context, turn: "Turn") -> str:
        """Resume."""
        from include.supervise.stream_job import newest_restore_point

        point = newest_restore_point(state_folder(settings))
        self.log.info("from %s", point.path if point else "nothing")
        return _start(flink, settings, context, point, turn)


class StopStreamOperator(StreamOperator):
    """Stop the job with a savepoint; the result is the savepoint's folder."""

    def change(self, flink: "FlinkRest", settings: "Settings", context: Context, turn: "Turn") -> str:
        """Stop."""
        from include.supervise.stream_job import stop_with_savepoint

        return str(stop_with_savepoint(flink).path)


class CancelStreamOperator(StreamOperator):
    """End the job at once; its checkpoints stay. The result is its id."""

    def change(self, flink: "FlinkRest", settings: "Settings", context: Context, turn: "Turn") -> str:
        """Cancel."""
        from include.supervise.stream_job import cancel

        return cancel(flink)


class SuperviseOperator(BaseOperator):
    """One round of supervision: look again, act if needed, record, alert, tell the dashboard.

    Never fails for a server that is away.

    `watched_by`: the `StreamHealthSensor` before it, whose observations are taken into account.
    The result is action, alarm, reason and outcome.
    """

    operator_extra_links = (FlinkJobLink(), DashboardLink())

    def __init__(self, *, watched_by: str | None = None, pool: str = POOL, **kwargs: Any) -> None:
        super().__init__(pool=pool, **kwargs)
        self.watched_by = watched_by

    def execute(self, context: Context) -> dict[str, str | None]:
        """One round."""
        from include.supervise.act import supervise_once
        from include.supervise.report import decisions
        from showroom.environment import settings
        from showroom.tasks.pipeline import MISSED, tell_rounds

        current = settings()
        pulled = context["ti"].xcom_pull(task_ids=self.watched_by) if self.watched_by else None
        with verdicts():
            entry = supervise_once(
                current,
                job_program(current),
                state_folder(current),
                prepare=lambda: _prepare(current),
                say=self.log.info,
                remembered=self._seen(pulled),
            )
        tell_rounds(current, decisions(current, MISSED) or [entry])
        job = getattr(entry.observation.flink, "job", None)
        if job is not None:
            context["ti"].xcom_push(key=JOB_KEY, value=job.id)
        told = entry.decision
        return {"action": told.action, "alarm": told.alarm, "reason": told.reason, "outcome": entry.outcome}

    def _seen(self, pulled: Any) -> "list[Observation]":
        """The watch's observations; none rather than a round that fails."""
        import msgspec

        from include.supervise.observation import Observation

        try:
            found = pulled["observations"] if pulled else []
            return msgspec.convert(found, list[Observation], str_keys=True)
        except (msgspec.ValidationError, KeyError, TypeError) as error:
            self.log.warning("the watch's observations are left out: %s", error)
            return []


def _start(
    flink: "FlinkRest", settings: "Settings", context: Context, point: "RestorePoint | None", turn: "Turn"
) -> str:
    from include.supervise.stream_job import submit, wait_running

    _prepare(settings)
    job_id = submit(flink, job_program(settings), point, turn)
    context["ti"].xcom_push(key=JOB_KEY, value=job_id)
    wait_running(flink, job_id)
    return job_id


def _prepare(settings: "Settings") -> None:
    """The index templates must be there before the job's first document."""
    from include.clients.elasticsearch import connect
    from include.serving.templates import ensure_templates

    with connect(settings) as client:
        ensure_templates(client, settings)
