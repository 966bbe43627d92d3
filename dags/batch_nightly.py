"""The nightly batch: similar users, and models with their privacy, explanations and promotion."""

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, Param, task

from showroom.alerts import default_args
from showroom.batch import BatchStepOperator

DOC = """
### batch_nightly
Learns from the archived sessions of the last `SHOWROOM_NIGHTLY_DAYS` days who buys, and who is like whom. Each step is
a command in an environment of its own; its progress is in the task's log, its summary is the task's result.

* **plan:** the window, the run's folder, and the best ROC-AUC any model can reach where the shop is synthetic.
* **features** → **similar** → **neighbours:** each user's neighbours, into MongoDB and Elasticsearch.
* **features** → **train** → **privacy** → **explain** → **promote:** the models, the private one charged to its
  budget, why they say what they say, and who is champion, in MLflow.
* **When:** at 02:00 UTC, for the days before midnight; one run at a time, one step at a time. By hand for another
  *start* and *end*.
* **Late:** the champion and the neighbours of the last run go on being used.
* **Failed:** a server was away (tried again twice), or a person must change something: the alert names it. The
  champion stays as it was. See docs/runbooks/batch.md.
* **Run again:** harmless. The same window and data give the same figures, replace their own runs in MLflow, and are
  charged to the privacy budget once.
"""

STEP_DEADLINE = timedelta(minutes=60)
INSTANT = r"^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$"

with DAG(
    "batch_nightly",
    # Without a start date a new installation waits for its first night: at once it has nothing to learn from.
    # Airflow takes False for "at once, if less than a tenth of a day has passed since 02:00".
    schedule=CronTriggerTimetable("0 2 * * *", timezone="UTC", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    default_args={**default_args(), "execution_timeout": STEP_DEADLINE},
    tags=["batch"],
    doc_md=DOC,
    params={
        "start": Param(
            None, type=["null", "string"], pattern=INSTANT, title="Start, if not that many days before the end"
        ),
        "end": Param(None, type=["null", "string"], pattern=INSTANT, title="End, if not the last midnight"),
    },
):

    @task
    def plan(params: Any = None, dag_run: Any = None) -> Any:
        """The run's window, folder and ceiling."""
        from showroom.tasks.batch import plan_run

        return plan_run(dag_run.run_id, dag_run.run_after, params)

    steps = {
        name: BatchStepOperator(task_id=name, step=name, planned_by="plan")
        for name in ("features", "similar", "neighbours", "train", "privacy", "explain", "promote")
    }
    plan() >> steps["features"]
    steps["features"] >> steps["similar"] >> steps["neighbours"]
    steps["features"] >> steps["train"] >> steps["privacy"] >> steps["explain"] >> steps["promote"]
