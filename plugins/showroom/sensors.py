"""The sensor of the stream's health."""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseSensorOperator, Context

from showroom.links import JOB_KEY, DashboardLink, FlinkJobLink

WATCH_WINDOW_S = 50.0
MIN_WATCH_WINDOW_S = 15.0


class StreamHealthSensor(BaseSensorOperator):
    """Observe once, then defer to a trigger that observes for `watch_s`, counted from the run's start.

    Succeeds as soon as the stream requires an action, else at the end of the window. The result is that of
    `showroom.triggers.payload`. An unavailable server is an observation and never fails the task.
    """

    operator_extra_links = (FlinkJobLink(), DashboardLink())

    def __init__(self, *, watch_s: float = WATCH_WINDOW_S, every_s: float = 4.0, **kwargs: Any) -> None:
        super().__init__(timeout=timedelta(seconds=watch_s + 120).total_seconds(), **kwargs)
        self.watch_s = watch_s
        self.every_s = every_s

    def execute(self, context: Context) -> dict[str, Any]:
        """Observe once and defer."""
        # The DAG processor loads this module: no client before a task runs.
        from include.contracts.errors import TransientError
        from include.supervise.decision_log import DecisionLog
        from include.supervise.supervisor import observe_and_decide
        from showroom.settings import load_settings, state_folder
        from showroom.triggers import StreamHealthTrigger, payload, requires_action

        settings = load_settings()
        record = observe_and_decide(settings, state_folder(settings))
        already_sent: Sequence[str] = ()
        try:
            with DecisionLog(settings.redis) as decision_log:
                newest = decision_log.last(1)
                already_sent = [finding.alert for record in newest for finding in record.decision.alerts]
        except TransientError as error:
            self.log.warning("%s", error)
        self.log.info("%s: %s: %s", record.decision.action, record.decision.alert, record.decision.reason)
        _push_job(context, record.observation)
        began = context["dag_run"].run_after.timestamp()
        until = max(began + self.watch_s, time.time() + MIN_WATCH_WINDOW_S)
        if requires_action(record, already_sent) or self.watch_s <= 0:
            return payload([record])
        trigger = StreamHealthTrigger(until=until, every_s=self.every_s, already_sent=already_sent)
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.watch_s + 90))
        raise AssertionError("defer returned")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return the trigger's payload."""
        self.log.info("%s: %s: %s", event["action"], event["alert"], event["reason"])
        return event


def _push_job(context: Context, observation: Any) -> None:
    job = getattr(observation.flink, "job", None)
    if job is not None:
        context["ti"].xcom_push(key=JOB_KEY, value=job.id)
