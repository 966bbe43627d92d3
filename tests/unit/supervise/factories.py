"""Observations for the tests of the policy: a healthy platform with changes."""

from dataclasses import replace
from typing import Any

from msgspec.structs import replace as changed

from include.contracts.settings import Settings
from include.supervise.observation import (
    ArchiveState,
    ElasticsearchState,
    FlinkState,
    GateState,
    Job,
    KafkaState,
    Observation,
    RestoreState,
)
from include.supervise.policy import Limits

NOW = 1_800_000_000.0
LIMITS = replace(Limits.of(Settings().supervise), grace_s=60, window_s=900, restarts=3)
POINT = RestoreState("/data/checkpoints/j1/chk-7")
NEVER = RestoreState(None)

JOB = Job(id="j1", state="RUNNING", age_s=5_000.0, idle_tasks={}, checkpoints=400, checkpoint_age_s=4.0, restarts=0)
FLINK = FlinkState(taskmanagers=1, slots=3, free_slots=2, job=JOB, jobs=1)
KAFKA = KafkaState(
    raw_end=9_000,
    gate_lag=0,
    valid_end=8_000,
    stream_lag=2,
    rejected_end=1_000,
    dead_end=0,
    stream_read=7_998,
    valid_ends={0: 4_000, 1: 4_000},
)
GATE = GateState(heartbeat_age_s={0: 0.5, 1: 0.9}, verdicts={"valid": 8_000, "duplicate": 1_000})
ARCHIVE = ArchiveState(offsets={0: 4_000, 1: 3_999}, written_at=NOW - 100)
SEARCH = ElasticsearchState(health="green", write_block=None, sessions=8_000, newest_id="s-1", newest_at=NOW - 2)


def cluster(**job: Any) -> FlinkState:
    """Return a cluster whose job has these changes."""
    return changed(FLINK, job=changed(JOB, **job))


def kafka(**changes: Any) -> KafkaState:
    return changed(KAFKA, **changes)


def search(**changes: Any) -> ElasticsearchState:
    return changed(SEARCH, **changes)


def gate(*ages: float | None) -> GateState:
    return changed(GATE, heartbeat_age_s=dict(enumerate(ages)))


def admitted(sessions: int) -> dict[str, Any]:
    """Return the parts after so many admitted sessions, with their transactions committed."""
    return {
        "gate": changed(GATE, verdicts={"valid": sessions, "duplicate": 1_000}),
        "kafka": kafka(raw_end=sessions + 1_000, valid_end=sessions),
    }


def archived(offset: int, end: int, written_ago_s: float) -> dict[str, Any]:
    """Return the parts after the archive has read one partition up to an offset."""
    return {
        "kafka": kafka(valid_ends={0: end}),
        "archive": ArchiveState(offsets={0: offset}, written_at=NOW - written_ago_s),
    }


def at(ago_s: float = 0.0, **changes: Any) -> Observation:
    """Return an observation `ago_s` before NOW."""
    parts: dict[str, Any] = {
        "flink": FLINK,
        "kafka": KAFKA,
        "gate": GATE,
        "elasticsearch": SEARCH,
        "restore": POINT,
        "input_flowing": True,
        "archive": ARCHIVE,
    }
    return Observation(taken_at=NOW - ago_s, **(parts | changes))


def for_long(seconds: float = 120.0, every_s: float = 20.0, **changes: Any) -> list[Observation]:
    """Return repeated observations up to now, oldest first."""
    steps = int(seconds // every_s)
    return [at(every_s * step, **changes) for step in range(steps, 0, -1)]
