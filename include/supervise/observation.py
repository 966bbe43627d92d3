"""What one look at the platform found, as plain data that fits into JSON.

Each part is what a server told or `Away` with the reason. What is not known is never taken for healthy.
"""

import msgspec


class Away(msgspec.Struct, frozen=True, tag="away"):
    """A part that could not be read, and why, in one line."""

    reason: str


class Job(msgspec.Struct, frozen=True):
    """The stream job. Ages in s by the cluster's own clock; `checkpoints` completed since it was submitted.

    `idle_tasks`: state -> number of tasks in any state but RUNNING. `restarts` by Flink itself, under this id.
    """

    id: str
    state: str
    age_s: float
    idle_tasks: dict[str, int]
    checkpoints: int
    checkpoint_age_s: float | None
    restarts: int
    failure: str | None = None


class Flink(msgspec.Struct, frozen=True, tag="flink"):
    """The cluster. `job` is None without one; `jobs` counts those of the stream's name that have not ended."""

    taskmanagers: int
    slots: int
    free_slots: int
    job: Job | None
    jobs: int


class Kafka(msgspec.Struct, frozen=True, tag="kafka"):
    """Sums over partitions, in records. Ends only count what is committed.

    `gate_lag`: raw records not yet decided. `stream_lag`: valid records not yet covered by a checkpoint; up to
    one a partition stays, for a transaction's end takes an offset.
    """

    raw_end: int
    gate_lag: int
    valid_end: int
    stream_lag: int
    rejected_end: int
    dead_end: int


class Gate(msgspec.Struct, frozen=True, tag="gate"):
    """The gate's memory. Partition -> age of its heartbeat in s, None where none was ever seen; verdict -> records.

    `redis_memory_ratio`: memory in use / Redis' limit, None without a limit.
    """

    heartbeat_age_s: dict[int, float | None]
    verdicts: dict[str, int]
    redis_memory_ratio: float | None = None


class Search(msgspec.Struct, frozen=True, tag="elasticsearch"):
    """Elasticsearch. `refusing` says why it takes no documents, None when it does.

    `sessions` can be found; `newest_id` is the one that arrived last, `newest_at` its arrival (Unix s), both None
    while there is none.
    """

    health: str
    refusing: str | None
    sessions: int
    newest_id: str | None
    newest_at: float | None


class Restore(msgspec.Struct, frozen=True, tag="restore"):
    """The newest complete checkpoint or savepoint a job can resume from; `path` None when there is none."""

    path: str | None


class Observation(msgspec.Struct, frozen=True):
    """One look at all parts, taken at `taken_at` (Unix s). `input_flowing`: None when it cannot be told."""

    taken_at: float
    flink: Flink | Away
    kafka: Kafka | Away
    gate: Gate | Away
    elasticsearch: Search | Away
    restore: Restore | Away
    input_flowing: bool | None

    @property
    def job(self) -> Job | None:
        """The job, None where there is none or Flink is away."""
        return self.flink.job if isinstance(self.flink, Flink) else None

    @property
    def unknown(self) -> dict[str, str]:
        """Part -> reason, of all parts that are away."""
        parts = {name: getattr(self, name) for name in ("flink", "kafka", "gate", "elasticsearch", "restore")}
        return {name: part.reason for name, part in parts.items() if isinstance(part, Away)}
