"""Send sessions of the synthetic shop."""

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, task

from showroom.alerts import default_args

DOC = """
### ingest_synthetic
Generates the sessions of a synthetic shop, including injected faults, and publishes them to `sessions.raw`. Stores the
ground truth in MongoDB.

* **When:** every 10 minutes, for the previous 10 minutes (`SHOWROOM_INGEST_SESSIONS_PER_MINUTE` sessions a minute).
  Paused in new installations.
* **Manually:** *sessions*, *days* before now and *seed* define a custom load.
* **Late or failed:** no other DAG depends on it. It waits 15 minutes for Kafka, then fails; clear the run.
* **Run again:** the same interval gives the same session ids, which the gate rejects as duplicates.
"""

with DAG(
    "ingest_synthetic",
    schedule=CronDataIntervalTimetable("*/10 * * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    is_paused_upon_creation=True,
    max_active_runs=2,
    default_args=default_args(),
    tags=["ingest"],
    doc_md=DOC,
    params={
        "sessions": Param(None, type=["null", "integer"], minimum=0, maximum=10_000_000, title="Visits"),
        "days": Param(None, type=["null", "number"], exclusiveMinimum=0, maximum=300, title="Days before now"),
        "seed": Param(None, type=["null", "integer"], minimum=0, maximum=2**31, title="Seed of the shop"),
    },
):

    @task
    def synthesize(
        params: Any = None, dag_run: Any = None, data_interval_start: Any = None, data_interval_end: Any = None
    ) -> Any:
        """The run's interval; a run by hand ends now."""
        from showroom.tasks.ingest import synthesize_interval

        end = data_interval_end or dag_run.run_after
        return synthesize_interval(data_interval_start or end, end, params)

    synthesize()
