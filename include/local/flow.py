"""How fast sessions flow through each stage and how many wait before it, at the process that does the work."""

from collections.abc import Mapping
from dataclasses import dataclass

from include.archive import queries as archived
from include.archive import store
from include.contracts.errors import ShowroomError
from include.contracts.settings import Settings
from include.supervise.observation import Kafka, Observation
from include.supervise.probes import observe
from include.supervise.report import RATE_OVER_S, StageRow, decisions, rows

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
    """The stages by their process; what cannot be read is away, and nothing is raised for it.

    Rates are means since a look of the supervisor's that is at least half a minute old.
    """
    entries = decisions(settings, 20)
    seen = observe(settings)
    old = [entry.observation for entry in entries if seen.taken_at - entry.at >= RATE_OVER_S]
    return by_process(rows(seen, old[0] if old else None, entries[0] if entries else None), archive(settings, seen))


def by_process(stages: list[StageRow], archive: Flow) -> dict[str, Flow]:
    """What the supervisor's report and the archive say, by process."""
    shown = [
        Flow(stage=row.stage, state=row.state, rate=row.rate, lag=row.lag, note=row.note)
        for row in stages
        if row.stage in PROCESSES
    ]
    return {PROCESSES[one.stage]: one for one in (*shown, archive)}


def behind(ends: int, marks: Mapping[str, int]) -> int:
    """Valid records that are not archived: the sum of all ends less that of all watermarks."""
    return max(0, ends - sum(marks.values()))


def archive(settings: Settings, seen: Observation) -> Flow:
    """The archive; what keeps it from answering is its note."""
    try:
        with store.connect(settings) as client:
            marks = {mark.place: mark.offset for mark in archived.progress(store.database(client, settings))}
    except ShowroomError as error:
        return Flow(stage="archive", state="away", rate=None, lag=None, note=str(error))
    lag = behind(seen.kafka.valid_end, marks) if isinstance(seen.kafka, Kafka) else None
    return Flow(stage="archive", state="ok", rate=None, lag=lag, note="")
