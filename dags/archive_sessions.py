"""`sessions.valid` into MongoDB."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, task

from showroom.alerts import default_args

DOC = """
### archive_sessions
Copies admitted sessions from `sessions.valid` into MongoDB. How far it has read stands in MongoDB beside the
sessions.

* **When:** every 5 minutes, one run at a time. A run reads several partitions at once and goes on until nothing is
  left, for 4 minutes at most.
* **Late:** `behind` in the result says how many are left; the next run goes on.
* **Failed:** MongoDB or Kafka is away; nothing is lost, the next run reads from the watermark. See
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
