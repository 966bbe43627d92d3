"""Links on a task's page: the Flink job, the MLflow run, the Live page."""

from typing import Any

from airflow.sdk import BaseOperator, BaseOperatorLink, BaseXCom
from airflow.sdk.types import TaskInstanceKey

from showroom.settings import load_settings

JOB_KEY = "flink_job_id"
RUN_KEY = "mlflow_run"
LIVE_PAGE = "/plugin/showroom-live"


class FlinkJobLink(BaseOperatorLink):
    """The stream job in Flink's web UI, or the list of jobs if there is none."""

    name = "Flink job"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the URL; the task pushes the job's id as XCom `flink_job_id`."""
        job_id = _pull_xcom(ti_key, JOB_KEY)
        return f"{load_settings().flink.url}/#/job/running{f'/{job_id}/overview' if job_id else ''}"


class MlflowRunLink(BaseOperatorLink):
    """The MLflow run of a task, or MLflow's start page."""

    name = "MLflow run"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the URL; the task pushes `experiment/run` as XCom `mlflow_run`."""
        experiment, _, run = str(_pull_xcom(ti_key, RUN_KEY) or "").partition("/")
        return f"{load_settings().mlflow.url}{f'/#/experiments/{experiment}/runs/{run}' if run else ''}"


class DashboardLink(BaseOperatorLink):
    """The Live page in Airflow."""

    name = "Live page"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the URL of the page."""
        return f"{load_settings().airflow.url}{LIVE_PAGE}"


LINKS: list[BaseOperatorLink] = [FlinkJobLink(), MlflowRunLink(), DashboardLink()]


def _pull_xcom(ti_key: TaskInstanceKey, key: str) -> Any:
    # The method accepts a task instance key, but its annotation does not.
    return BaseXCom.get_value(ti_key=ti_key, key=key)  # type: ignore[arg-type]
