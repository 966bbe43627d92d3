"""Alerts for failed tasks: to log and webhook, repeated at intervals, and resolved on success."""

from datetime import timedelta
from typing import Any

from airflow.sdk import Context

ALERT_ID = "airflow.task_failed"


def alert_on_failure(context: Context) -> None:
    """Send the alert of a failed task, with the error and its remedy (`on_failure_callback`)."""
    error = context.get("exception")
    cause = getattr(error, "__cause__", None)
    remedy = getattr(error, "remedy", None) or getattr(cause, "remedy", None)
    detail = getattr(error, "message", None) or getattr(cause, "message", None) or str(error)
    name = _task_name(context)
    with _alert_manager() as alerts:
        alerts.raise_(_alert_id(name), f"{name} failed", detail, remedy or "see the task's log in Airflow")


def clear_on_success(context: Context) -> None:
    """Resolve the alert of a task that succeeds (`on_success_callback`)."""
    with _alert_manager() as alerts:
        alerts.clear(_alert_id(_task_name(context)))


def default_args(retries: int = 2) -> dict[str, Any]:
    """Return the default arguments of all DAGs: retries after 30 s, and alerts."""
    return {
        "owner": "showroom",
        "retries": retries,
        "retry_delay": timedelta(seconds=30),
        "on_failure_callback": [alert_on_failure],
        "on_success_callback": [clear_on_success],
    }


def _task_name(context: Context) -> str:
    task = context["ti"]
    return f"{task.dag_id}.{task.task_id}"


def _alert_id(name: str) -> str:
    return f"{ALERT_ID}:{name}"


def _alert_manager() -> Any:
    # Imported here because parsing a DAG must not load clients.
    from include.supervise.alert import Alarms  # noqa: PLC0415
    from showroom.settings import load_settings  # noqa: PLC0415

    return Alarms(load_settings())
