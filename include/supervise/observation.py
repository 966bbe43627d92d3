"""What one look at the platform found, as plain data that fits into JSON.

Each part is what a server told or `Away` with the reason. What is not known is never taken for healthy.
"""

import msgspec

PARTS = ("flink", "kafka", "gate", "elasticsearch", "restore", "archive")


def records_between(start: int, end: int) -> int:
    """Return how many records lie between two offsets of a transactional partition, at most.

    The last offset below a committed end is the marker of a transaction, never a record.
    """
    return max(0, end - start - 1)


class Away(msgspec.Struct, frozen=True, tag="away"):
    """A part that could not be read, and why, in one line."""

    reason: str


class Job(msgspec.Struct, frozen=True):
    """The stream job. Ages in s by the cluster's own clock; `checkpoints` completed since it was submitted.

    `idle_tasks`: state -> number of tasks in any state but RUNNING. `restarts` by Flink itself, under this id.
    `records`: records that left its operators since its tasks started, None where nobody asked.
    """

    id: str
    state: str
    age_s: float
    idle_tasks: dict[str, int]
    checkpoints: int
    checkpoint_age_s: float | None
    restarts: int
    failure: str | None = None
    records: int | None = None


class Flink(msgspec.Struct, frozen=True, tag="flink"):
    """The cluster. `job` is None without one; `jobs` counts those of the stream's name that have not ended."""

    taskmanagers: int
    slots: int
    free_slots: int
    job: Job | None
    jobs: int


class Kafka(msgspec.Struct, frozen=True, tag="kafka"):
    """Sums over partitions, in records. Ends only count what is committed.

    `gate_lag`: raw records not yet decided. `stream_lag`: valid records not yet covered by a checkpoint, without the
    offsets that the ends of transactions take. `stream_read`: sum of the stream's committed offsets.
    `valid_ends`: partition -> end of `sessions.valid`.
    """

    raw_end: int
    gate_lag: int
    valid_end: int
    stream_lag: int
    rejected_end: int
    dead_end: int
    stream_read: int = 0
    valid_ends: dict[int, int] = {}


class Gate(msgspec.Struct, frozen=True, tag="gate"):
    """The gate's memory. Partition -> age of its heartbeat in s, None where none was ever seen; verdict -> records.

    `stopped`: partition -> why the gate does not read it.
    `redis_memory_ratio`: memory in use / Redis' limit, None without a limit.
    """

    heartbeat_age_s: dict[int, float | None]
    verdicts: dict[str, int]
    stopped: dict[int, str] = {}
    redis_memory_ratio: float | None = None


class Search(msgspec.Struct, frozen=True, tag="elasticsearch"):
    """Elasticsearch. `refusing` says why it takes no documents, None when it does.

    `sessions` can be found; `newest_id` is the one that arrived last, `newest_at` its arrival (Unix s), both None
    while there is none. `rejections`: writes that its nodes have turned away with 429 since they started.
    `has_reached_shard_limit`: the cluster refuses another index.
    """

    health: str
    refusing: str | None
    sessions: int
    newest_id: str | None
    newest_at: float | None
    rejections: int = 0
    has_reached_shard_limit: bool = False


class Archive(msgspec.Struct, frozen=True, tag="archive"):
    """The archive's watermarks. Partition -> next offset of `sessions.valid` to read; Unix s of the newest write."""

    offsets: dict[int, int]
    written_at: float | None


class Restore(msgspec.Struct, frozen=True, tag="restore"):
    """The newest complete checkpoint or savepoint a job can resume from; `path` None when there is none."""

    path: str | None


class Observation(msgspec.Struct, frozen=True):
    """One look at all parts, taken at `taken_at` (Unix s). `input_flowing`: None when it cannot be told.

    `archive` is None in observations of versions that did not probe it.
    """

    taken_at: float
    flink: Flink | Away
    kafka: Kafka | Away
    gate: Gate | Away
    elasticsearch: Search | Away
    restore: Restore | Away
    input_flowing: bool | None
    archive: Archive | Away | None = None

    @property
    def archive_lag(self) -> int | None:
        """Valid records that are not archived, None where Kafka or the archive is unavailable."""
        if not isinstance(self.archive, Archive) or not isinstance(self.kafka, Kafka):
            return None
        offsets = self.archive.offsets
        return sum(records_between(offsets.get(number, 0), end) for number, end in self.kafka.valid_ends.items())

    @property
    def job(self) -> Job | None:
        """The job, None where there is none or Flink is away."""
        return self.flink.job if isinstance(self.flink, Flink) else None

    @property
    def unknown(self) -> dict[str, str]:
        """Part -> reason, of all parts that are away."""
        parts = {name: getattr(self, name) for name in PARTS}
        return {name: part.reason for name, part in parts.items() if isinstance(part, Away)}
