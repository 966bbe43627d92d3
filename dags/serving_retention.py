"""The upkeep of the indices, and of the dashboards in Kibana."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from showroom.alerts import default_args

DOC = """
### serving_retention
Updates index templates and aliases to this version. Deletes monthly indices older than
`SHOWROOM_ELASTICSEARCH_RETENTION_MONTHS` and archived sessions that arrived more than
`SHOWROOM_ARCHIVE_RETENTION_DAYS` days ago.

Imports the dashboards into Kibana. The task is skipped if there is no Kibana or it is unreachable.

Indices are monthly by event time: sessions of a replayed old log are in the indices of old months.

* **When:** daily at 03:30 UTC. Run it manually with *dry run* to list what would be deleted.
* **Failed:** Elasticsearch or MongoDB is unavailable or rejects a request. The stream does not depend on it. Clear
  the run.
* **Run again:** harmless.
"""

with DAG(
    "serving_retention",
    schedule="30 3 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    tags=["serving"],
    doc_md=DOC,
    params={"dry_run": Param(False, type="boolean", title="Only name what would be deleted")},
):

    @task
    def ensure() -> Any:
        """Templates and aliases."""
        from showroom.tasks.serving import ensure_indices

        return ensure_indices()

    @task
    def drop(params: Any = None, dag_run: Any = None) -> Any:
        """Old indices."""
        from showroom.tasks.serving import drop_old_indices

        return drop_old_indices(dag_run.run_after, params["dry_run"])

    @task(execution_timeout=timedelta(minutes=30))
    def sessions(params: Any = None, dag_run: Any = None) -> Any:
        """Old sessions in MongoDB."""
        from showroom.tasks.archive import drop_old_sessions

        return drop_old_sessions(dag_run.run_after, params["dry_run"])

    @task
    def dashboards() -> Any:
        """Dashboards."""
        from showroom.tasks.serving import import_dashboards

        return import_dashboards()

    ensure() >> drop()
    sessions()
    dashboards()
