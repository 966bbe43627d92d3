"""The stream kept alive without a person."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from showroom.alerts import default_args
from showroom.operators import SuperviseOperator
from showroom.sensors import StreamHealthSensor

DOC = """
### supervise_stream
Watches job, checkpoints, lag, gate and freshness, and starts the stream again from its newest checkpoint when it is
lost; tells people what it cannot mend.

* **When:** every minute; `watch` looks every few seconds and ends as soon as something is to be done, `act` looks
  once more and does it.
* **What was decided and why:** the result of `act`, the Stream page, `./showroom supervise`.
* **Late:** it makes up for nothing, the next run looks at what is. At most `SHOWROOM_SUPERVISE_RESTARTS` starts
  within `SHOWROOM_SUPERVISE_WINDOW_S`, then people are told.
* **Run again:** harmless; two at once cannot both act.
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
        # A round is due whether or not the watch could be kept.
        trigger_rule="all_done",
        execution_timeout=timedelta(minutes=10),
    )
    watch >> act
