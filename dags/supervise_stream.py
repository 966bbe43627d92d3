"""Monitor the Flink job and restart it from its latest checkpoint."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from showroom.alerts import default_args
from showroom.operators import SuperviseOperator
from showroom.sensors import StreamHealthSensor

DOC = """
### supervise_stream
Monitors the Flink job, checkpoints, lag, gate and freshness. Restarts the job from its latest checkpoint, and sends
alerts for conditions that a restart cannot repair.

* **When:** every minute. `watch` observes every few seconds and ends as soon as an action is required; `act` observes
  again and acts.
* **Decisions and reasons:** the result of `act`, the Stream page, `./showroom supervise`.
* **Late:** no backfill, the next run observes the present state. At most
  `SHOWROOM_SUPERVISE_MAX_RESTARTS` restarts within `SHOWROOM_SUPERVISE_RESTART_WINDOW_S`, then an alert.
* **Run again:** harmless; the supervisor lock lets one run at a time act.
"""

with DAG(
    "supervise_stream",
    schedule="* * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={**default_args(retries=1), "retry_delay": timedelta(seconds=5)},
    tags=["supervise"],
    doc_md=DOC,
):
    watch = StreamHealthSensor(task_id="watch")
    act = SuperviseOperator(
        task_id="act",
        sensor_task_id=watch.task_id,
        # The cycle runs even if the sensor failed.
        trigger_rule="all_done",
        execution_timeout=timedelta(minutes=10),
    )
    watch >> act
