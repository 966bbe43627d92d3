"""Alerts of failed tasks, to the log and to the webhook."""

from datetime import timedelta
from typing import Any

from airflow.sdk import Context

ALERT_ID = "airflow.task_failed"


def alert_on_failure(context: Context) -> None:
    """`on_failure_callback` of a task: fire its alert with the message and the remedy of the error."""
    error = context.get("exception")
    cause = getattr(error, "__cause__", None)
    remedy = getattr(error, "remedy", None) or getattr(cause, "remedy", None)
    detail = getattr(error, "message", None) or getattr(cause, "message", None) or str(error)
    name = _name(context)
    with _alert_manager() as manager:
        manager.fire(_alert_id(name), f"{name} failed", detail, remedy or "see the task's log in Airflow")


def resolve_on_success(context: Context) -> None:
    """`on_success_callback` of a task: resolve its alert."""
    with _alert_manager() as manager:
        manager.resolve(_alert_id(_name(context)))


def default_args(retries: int = 2) -> dict[str, Any]:
    """Return the arguments of every task: retries half a minute apart, and alerts."""
    return {
        "owner": "showroom",
        "retries": retries,
        "retry_delay": timedelta(seconds=30),
        "on_failure_callback": [alert_on_failure],
        "on_success_callback": [resolve_on_success],
    }


def _name(context: Context) -> str:
    task = context["ti"]
    return f"{task.dag_id}.{task.task_id}"


def _alert_id(name: str) -> str:
    return f"{ALERT_ID}:{name}"


def _alert_manager() -> Any:
    # Parsing a DAG must not load clients.
    from include.supervise.alert_manager import AlertManager  # noqa: PLC0415
    from showroom.settings import load_settings  # noqa: PLC0415

    return AlertManager(load_settings())
