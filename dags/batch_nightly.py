"""Run the nightly batch: similar users, models, privacy, explanations and promotion."""

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, Param, task

from showroom.alerts import default_args
from showroom.batch import BatchStepOperator

DOC = """
### batch_nightly
Trains purchase-prediction models and finds similar users, on the archived sessions of the last
`SHOWROOM_BATCH_WINDOW_DAYS` days. Each step is a subprocess in its own environment (`include/batch/steps`); the
task's log shows its progress, and the task's result is its summary.

* **plan:** the window, the run's folder, and the oracle ROC-AUC where the shop is synthetic.
* **features** → **similar** → **neighbours:** each user's neighbours, into MongoDB and Elasticsearch.
* **features** → **train** → **privacy** → **explain** → **promote:** the models, the private model charged to its
  budget, explanations, and the promotion of a champion in MLflow.
* **When:** at 02:00 UTC, for the days before midnight; one run at a time, one step at a time. A manual run may have
  another *start* and *end*.
* **Late:** the champion and the neighbours of the last run stay in use.
* **Failed:** a server was unavailable (retried twice), or an operator must act: the alert names the action. The
  champion is unchanged. See docs/runbooks/batch.md.
* **Run again:** harmless. The same window and data give equal metrics, replace their own runs in MLflow, and are
  charged to the privacy budget once.
"""

STEP_DEADLINE = timedelta(minutes=60)
INSTANT = r"^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$"

with DAG(
    "batch_nightly",
    # Without a start date a new installation waits until 02:00, because its archive is empty before.
    # Airflow interprets False as "now, if less than a tenth of a day has passed since 02:00".
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
        """Return the run's window, folder and oracle AUC."""
        from showroom.tasks.batch import plan_run

        return plan_run(dag_run.run_id, dag_run.run_after, params)

    steps = {
        name: BatchStepOperator(task_id=name, step=name, plan_task_id="plan")
        for name in ("features", "similar", "neighbours", "train", "privacy", "explain", "promote")
    }
    plan() >> steps["features"]
    steps["features"] >> steps["similar"] >> steps["neighbours"]
    steps["features"] >> steps["train"] >> steps["privacy"] >> steps["explain"] >> steps["promote"]
