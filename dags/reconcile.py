"""Reconcile the counts of all stages, hour by hour."""

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, Param, task

from showroom.alerts import default_args

DOC = """
### reconcile
Counts every hour that has ended at every stage: raw = rejected + admitted, and admitted = indexed or dead letter
(`session_summary`, `product_details`, `product_sentiment`) = archived. A day of arrival whose hours are all counted is
also compared with `kpi_minute`. The results go to MongoDB and onto the Stream page.

A stage is compared once it has passed the last record of the hour, an offset in `sessions.valid`; until then the hour
is *pending*, and later runs count it again. An hour with a difference is counted again for three days, so that a repair
resolves the alert.

* **When:** at twenty past each hour, for all hours since the last run. Hours in which Airflow was down are counted
  later, as long as raw records are retained (3 days). Older ones are recorded as *unverifiable*, with an alert. A
  manual run with *hour* counts one hour again.
* **Failed in `count`:** a server is unavailable. The task retries; clear it once the server is back.
* **Failed in `assert_balanced`:** counts differ. The result names the first mismatched stage, and some of the sessions;
  see docs/runbooks/supervise.md, reconcile.difference.
* **Run again:** harmless; it replaces its own result.
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
    params={"hour": Param(None, type=["null", "string"], pattern=HOUR, title="Hour, if not all that are due")},
):

    @task
    def count(params: Any = None, dag_run: Any = None) -> Any:
        """Count the due hours at all stages."""
        from showroom.tasks.reconcile import parse_hour, reconcile_hours

        return reconcile_hours(dag_run.run_after, parse_hour(params["hour"]))

    @task(retries=0, on_failure_callback=None, on_success_callback=None)
    def assert_balanced(result: Any) -> None:
        """Fail where counts differ; `count` has fired the alert."""
        from showroom.tasks.reconcile import require_balance

        require_balance(result)

    assert_balanced(count())
