"""Buttons on a task's page that lead to what the task is about."""

from typing import Any

from airflow.sdk import BaseOperator, BaseOperatorLink, BaseXCom
from airflow.sdk.types import TaskInstanceKey

from showroom.settings import load_settings

JOB_KEY = "flink_job_id"
RUN_KEY = "mlflow_run"
LIVE_PAGE = "/plugin/showroom-live"


class FlinkJobLink(BaseOperatorLink):
    """The stream job in Flink's own pages, or the list of jobs before there is one."""

    name = "Flink job"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The address; the task pushed the job's id as XCom `flink_job_id`."""
        job_id = _pushed(ti_key, JOB_KEY)
        return f"{load_settings().flink_url}/#/job/running{f'/{job_id}/overview' if job_id else ''}"


class MlflowRunLink(BaseOperatorLink):
    """The MLflow run of a task, or MLflow's start page."""

    name = "MLflow run"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The address; the task pushed `experiment/run` as XCom `mlflow_run`."""
        experiment, _, run = str(_pushed(ti_key, RUN_KEY) or "").partition("/")
        return f"{load_settings().mlflow_url}{f'/#/experiments/{experiment}/runs/{run}' if run else ''}"


class DashboardLink(BaseOperatorLink):
    """The page with the live figures in Airflow's side bar."""

    name = "Live figures"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The address of the page."""
        return f"{load_settings().airflow_url}{LIVE_PAGE}"


LINKS: list[BaseOperatorLink] = [FlinkJobLink(), MlflowRunLink(), DashboardLink()]


def _pushed(ti_key: TaskInstanceKey, key: str) -> Any:
    # A key serves as what the method asks for, but is frozen.
    return BaseXCom.get_value(ti_key=ti_key, key=key)  # type: ignore[arg-type]
