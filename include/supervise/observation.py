"""One observation of the platform, as plain data that can be stored as JSON.

Each field is a probe result or `Unavailable`. Unknown is never treated as healthy.
"""

import msgspec

PARTS = ("flink", "kafka", "gate", "elasticsearch", "restore", "archive")


def records_between(start: int, end: int) -> int:
    """Return how many records lie between two offsets of a transactional partition, at most.

    The last offset below a committed end is the marker of a transaction, never a record.
    """
    return max(0, end - start - 1)


class Unavailable(msgspec.Struct, frozen=True, tag="unavailable"):
    """A part that could not be read, and why, in one line."""

    reason: str


class Job(msgspec.Struct, frozen=True):
    """The stream job.

    Attributes:
        id: Flink's id.
        state: Flink's state.
        age_s: Seconds since its start, by the cluster's clock.
        idle_tasks: State -> number of tasks in any state but RUNNING.
        checkpoints: Checkpoints completed since it was submitted.
        checkpoint_age_s: Seconds since the newest of them, by the cluster's clock.
        restarts: Restarts by Flink itself under this id.
        failure: Root cause of the newest failure.
        records: Records emitted by its operators since its tasks started; None if they were not counted.
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


class FlinkState(msgspec.Struct, frozen=True, tag="flink"):
    """The cluster. `job` is None without one; `jobs` counts those of the stream's name that have not ended."""

    taskmanagers: int
    slots: int
    free_slots: int
    job: Job | None
    jobs: int


class KafkaState(msgspec.Struct, frozen=True, tag="kafka"):
    """Sums over partitions, in records. End offsets count committed records only.

    Attributes:
        raw_end: End of `sessions.raw`.
        gate_lag: Raw records that the gate has not decided.
        valid_end: End of `sessions.valid`.
        stream_lag: Valid records that no checkpoint covers, without the offsets of transaction markers.
        rejected_end: End of `sessions.rejected`.
        dead_end: End of `documents.dead`.
        stream_read: Sum of the stream's committed offsets.
        valid_ends: Partition -> end of `sessions.valid`.
    """

    raw_end: int
    gate_lag: int
    valid_end: int
    stream_lag: int
    rejected_end: int
    dead_end: int
    stream_read: int = 0
    valid_ends: dict[int, int] = {}


class GateState(msgspec.Struct, frozen=True, tag="gate"):
    """The gate's state in Redis.

    Attributes:
        heartbeat_age_s: Partition -> age of its heartbeat in s; None if there is none.
        verdicts: Verdict -> records.
        stopped: Partition -> why the gate does not read it.
        redis_memory_ratio: Memory in use / Redis' limit; None without a limit.
    """

    heartbeat_age_s: dict[int, float | None]
    verdicts: dict[str, int]
    stopped: dict[int, str] = {}
    redis_memory_ratio: float | None = None


class ElasticsearchState(msgspec.Struct, frozen=True, tag="elasticsearch"):
    """Elasticsearch.

    Attributes:
        health: Colour of the cluster.
        write_block: Why it accepts no documents; None if it does.
        sessions: Searchable sessions.
        newest_id: Id of the session that arrived last; None without one.
        newest_at: Its arrival, Unix s; None without one.
        rejections: Writes that its nodes have rejected with 429 since they started.
        has_reached_shard_limit: Whether the cluster refuses another index.
    """

    health: str
    write_block: str | None
    sessions: int
    newest_id: str | None
    newest_at: float | None
    rejections: int = 0
    has_reached_shard_limit: bool = False


class ArchiveState(msgspec.Struct, frozen=True, tag="archive"):
    """The archive's watermarks. Partition -> next offset of `sessions.valid` to read; Unix s of the newest write."""

    offsets: dict[int, int]
    written_at: float | None


class RestoreState(msgspec.Struct, frozen=True, tag="restore"):
    """The newest complete checkpoint or savepoint a job can resume from; `path` is None without one."""

    path: str | None


class Observation(msgspec.Struct, frozen=True):
    """All parts as observed at `taken_at` (Unix s). `input_flowing` is None if it is unknown.

    `archive` is None in observations of versions that did not probe it.
    """

    taken_at: float
    flink: FlinkState | Unavailable
    kafka: KafkaState | Unavailable
    gate: GateState | Unavailable
    elasticsearch: ElasticsearchState | Unavailable
    restore: RestoreState | Unavailable
    input_flowing: bool | None
    archive: ArchiveState | Unavailable | None = None

    @property
    def archive_lag(self) -> int | None:
        """Valid records that are not archived, None if Kafka or the archive is unavailable."""
        if not isinstance(self.archive, ArchiveState) or not isinstance(self.kafka, KafkaState):
            return None
        offsets = self.archive.offsets
        return sum(records_between(offsets.get(number, 0), end) for number, end in self.kafka.valid_ends.items())

    @property
    def job(self) -> Job | None:
        """The job, None if there is none or Flink is unavailable."""
        return self.flink.job if isinstance(self.flink, FlinkState) else None

    @property
    def job_id(self) -> str | None:
        """The job's id, None without a job."""
        return self.job.id if self.job is not None else None

    @property
    def unavailable(self) -> dict[str, str]:
        """Part -> reason, of all parts that are unavailable."""
        parts = {name: getattr(self, name) for name in PARTS}
        return {name: part.reason for name, part in parts.items() if isinstance(part, Unavailable)}
