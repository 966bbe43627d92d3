"""The log of a real shop, replayed."""

from typing import Any

from airflow.sdk import DAG, Param, task

from showroom.alerts import default_args

DOC = """
### ingest_replay
Publishes the sessions of a real shop's log (REES46, OTTO or Online Retail; plain or gzip) to `sessions.raw`.

* **When:** manually. *path* is a file on Airflow's machine.
* **Failed:** a missing, empty or truncated file, or one of another format, fails at once with the reason. Invalid
  lines are counted and reported.
* **Run again:** the same file gives the same session ids, which the gate rejects as duplicates.
"""

with DAG(
    "ingest_replay",
    schedule=None,
    max_active_runs=1,
    default_args=default_args(),
    tags=["ingest"],
    doc_md=DOC,
    params={
        "path": Param("", type="string", minLength=1, title="File", description="A log, plain or gzip"),
        "format": Param("auto", type="string", enum=["auto", "rees46", "otto", "online_retail"], title="Format"),
        "rate": Param(None, type=["null", "number"], minimum=0.001, maximum=1_000_000, title="Sessions a second"),
        "limit": Param(None, type=["null", "integer"], minimum=1, title="Sessions at most"),
    },
):

    @task
    def replay(params: Any = None) -> Any:
        """All of the log."""
        from showroom.tasks.ingest import replay_log

        return replay_log(params)

    replay()
