"""Failed tasks as alarms: log and webhook, each once until it is due again, and once when it is over."""

from datetime import timedelta
from typing import Any

from airflow.sdk import Context

IDENTITY = "airflow.task_failed"


def alert_on_failure(context: Context) -> None:
    """`on_failure_callback` of a task: raise its alarm with the error and the remedy the error names."""
    error = context.get("exception")
    cause = getattr(error, "__cause__", None)
    remedy = getattr(error, "remedy", None) or getattr(cause, "remedy", None)
    detail = getattr(error, "message", None) or getattr(cause, "message", None) or str(error)
    name = _name(context)
    with _alarms() as alarms:
        alarms.raise_(_identity(name), f"{name} failed", detail, remedy or "see the task's log in Airflow")


def clear_on_success(context: Context) -> None:
    """`on_success_callback` of a task: say that it works again, where it had failed."""
    with _alarms() as alarms:
        alarms.clear(_identity(_name(context)))


def default_args(retries: int = 2) -> dict[str, Any]:
    """What every task of this project's DAGs has: retries half a minute apart, and alarms."""
    return {
        "owner": "showroom",
        "retries": retries,
        "retry_delay": timedelta(seconds=30),
        "on_failure_callback": [alert_on_failure],
        "on_success_callback": [clear_on_success],
    }


def _name(context: Context) -> str:
    task = context["ti"]
    return f"{task.dag_id}.{task.task_id}"


def _identity(name: str) -> str:
    return f"{IDENTITY}:{name}"


def _alarms() -> Any:
    # Parsing a DAG must not load clients.
    from include.supervise.alert_manager import Alarms  # noqa: PLC0415
    from showroom.environment import settings  # noqa: PLC0415

    return Alarms(settings())
