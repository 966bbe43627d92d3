"""Every hour's counts, stage against stage."""

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, Param, task

from showroom.alerts import default_args

DOC = """
### reconcile
Counts the hour that ended at every stage: produced = valid + rejected + in flight, and valid = indexed = archived.
The result goes to MongoDB and onto the Stream page.

* **When:** at twenty past each hour. By hand for another *hour*.
* **Failed in `count`:** a server is away; it tries again, and can be cleared later.
* **Failed in `judge`:** counts differ. The result names the stage that owns the difference; see
  docs/runbooks/supervise.md, reconcile.difference.
* **Run again:** harmless, it reads, and replaces its own result.
"""

HOUR = r"^\d{4}-\d\d-\d\dT\d\d:00(:00)?(Z|\+00:00)$"

with DAG(
    "reconcile",
    schedule="20 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    tags=["supervise"],
    doc_md=DOC,
    params={"hour": Param(None, type=["null", "string"], pattern=HOUR, title="Hour, if not the last one")},
):

    @task
    def count(params: Any = None, dag_run: Any = None) -> Any:
        """All stages' counts of the hour."""
        from showroom.tasks.reconcile import hour_before, reconcile_hour

        return reconcile_hour(hour_before(dag_run.run_after, params["hour"]))

    @task(retries=0, on_failure_callback=None, on_success_callback=None)
    def judge(found: Any) -> None:
        """Red where they differ; the alarm was raised with the counts."""
        from showroom.tasks.reconcile import require_balance

        require_balance(found)

    judge(count())
