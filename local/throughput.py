"""Rate and lag of each stage, assigned to the process that does the work."""

from dataclasses import dataclass

from include.contracts.settings import Settings
from include.supervise.stage_status import StageRow, stages
from local.stream_job import state_folder

PROCESS_OF_STAGE: dict[str, str] = {
    "ingest": "kafka",
    "gate": "gate-0",
    "stream": "flink-taskmanager",
    "serving": "elasticsearch",
    "archive": "mongodb",
    "supervise": "airflow-triggerer",
}
"""Process in whose row a stage is shown; the first one of several."""


@dataclass(frozen=True, kw_only=True)
class StageThroughput:
    """Current throughput of a stage.

    Attributes:
        stage: Name of the stage.
        state: State of the stage.
        rate: Sessions a second; None if unknown.
        lag: Waiting sessions; None if unknown.
        note: Cause and remedy for the operator; empty if there is none.
    """

    stage: str
    state: str
    rate: float | None
    lag: int | None
    note: str


def read_throughput(settings: Settings) -> dict[str, StageThroughput]:
    """Return the stages by process. A stage that cannot be read has a state instead of an error."""
    return by_process(stages(settings, state_folder(settings.local)))


def by_process(stages: list[StageRow]) -> dict[str, StageThroughput]:
    """Return the supervisor's report by process."""
    rows = [
        StageThroughput(stage=row.stage, state=row.state, rate=row.rate, lag=row.lag, note=row.note)
        for row in stages
        if row.stage in PROCESS_OF_STAGE
    ]
    return {PROCESS_OF_STAGE[row.stage]: row for row in rows}
