"""`sessions.valid` into MongoDB."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, task

from showroom.alerts import default_args

DOC = """
### archive_sessions
Copies admitted sessions from `sessions.valid` into MongoDB. The watermark is stored beside the sessions.

* **When:** every 5 minutes, one run at a time. A run reads several partitions in parallel, until no record is left or
  for 4 minutes.
* **Late:** `behind` in the result is the number of records left; the next run continues.
* **Failed:** MongoDB or Kafka is unavailable. No record is lost: the next run continues from the watermark. See
  docs/runbooks/archive.md.
* **Run again:** harmless; documents are written under their user and session id.
"""

SESSIONS = Asset(name="archived_sessions", uri="showroom://archive/sessions")

with DAG(
    "archive_sessions",
    schedule="*/5 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    tags=["archive"],
    doc_md=DOC,
):

    @task(pool="archive", outlets=[SESSIONS], execution_timeout=timedelta(minutes=10))
    def load() -> Any:
        """Everything that is there and what arrives meanwhile, until the deadline."""
        from showroom.tasks.archive import archive_sessions

        return archive_sessions()

    load()
