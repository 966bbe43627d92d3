"""The sensor that keeps an eye on the stream."""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseSensorOperator, Context

from showroom.links import JOB_KEY, DashboardLink, FlinkJobLink

WATCH_S = 50.0
LEAST_WATCH_S = 15.0


class StreamHealthSensor(BaseSensorOperator):
    """Looks once, then hands over to a trigger that goes on looking for `watch_s`, counted from the run's start.

    Succeeds as soon as the stream needs a hand, else when the time is over; what was decided and seen is its result
    (`showroom.triggers.payload`). A look never fails because a server is away: that is what it looks for.
    """

    operator_extra_links = (FlinkJobLink(), DashboardLink())

    def __init__(self, *, watch_s: float = WATCH_S, every_s: float = 4.0, **kwargs: Any) -> None:
        super().__init__(timeout=timedelta(seconds=watch_s + 120).total_seconds(), **kwargs)
        self.watch_s = watch_s
        self.every_s = every_s

    def execute(self, context: Context) -> dict[str, Any]:
        """The first look, and the deferral."""
        # The DAG processor loads this module: no client before a task runs.
        from include.contracts.errors import TransientError
        from include.supervise.supervisor import look
        from include.supervise.decision_log import Journal
        from showroom.environment import settings, state_folder
        from showroom.triggers import StreamHealthTrigger, needs_act, payload

        current = settings()
        entry = look(current, state_folder(current))
        known: Sequence[str] = ()
        try:
            with Journal(current) as journal:
                known = [page.alarm for told in journal.last(1) for page in told.decision.pages]
        except TransientError as error:
            self.log.warning("%s", error)
        self.log.info("%s: %s: %s", entry.decision.action, entry.decision.alarm, entry.decision.reason)
        _push_job(context, entry.observation)
        began = context["dag_run"].run_after.timestamp()
        until = max(began + self.watch_s, time.time() + LEAST_WATCH_S)
        if needs_act(entry, known) or self.watch_s <= 0:
            return payload([entry])
        trigger = StreamHealthTrigger(until=until, every_s=self.every_s, known=known)
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.watch_s + 90))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """What the trigger found."""
        self.log.info("%s: %s: %s", event["action"], event["alarm"], event["reason"])
        return event


def _push_job(context: Context, observation: Any) -> None:
    job = getattr(observation.flink, "job", None)
    if job is not None:
        context["ti"].xcom_push(key=JOB_KEY, value=job.id)
