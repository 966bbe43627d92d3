"""How fast sessions flow through each stage and how many wait before it, at the process that does the work."""

from dataclasses import dataclass

from include.contracts.settings import Settings
from include.supervise.stage_status import StageRow, stages
from local.stream_job import state_folder

PROCESSES: dict[str, str] = {
    "ingest": "kafka",
    "gate": "gate-0",
    "stream": "flink-taskmanager",
    "serving": "elasticsearch",
    "archive": "mongodb",
    "supervise": "airflow-triggerer",
}
"""The process at whose row a stage is shown: the first of several."""


@dataclass(frozen=True, kw_only=True)
class Flow:
    """One stage now. `rate` in sessions a second and `lag` in sessions, None where unknown; `note` for a person."""

    stage: str
    state: str
    rate: float | None
    lag: int | None
    note: str


def flow(settings: Settings) -> dict[str, Flow]:
    """The stages by their process; what cannot be read is away, and nothing is raised for it."""
    return by_process(stages(settings, state_folder(settings)))


def by_process(stages: list[StageRow]) -> dict[str, Flow]:
    """The supervisor's report, by process."""
    shown = [
        Flow(stage=row.stage, state=row.state, rate=row.rate, lag=row.lag, note=row.note)
        for row in stages
        if row.stage in PROCESSES
    ]
    return {PROCESSES[one.stage]: one for one in shown}
