"""Names, kinds and meanings of every figure a stage publishes; the only place where they are declared."""

from typing import Literal, NamedTuple

Stage = Literal["ingest", "gate", "archive", "stream", "serving", "batch", "supervise"]


Exporter = Literal["airflow", "gate"]


class Metric(NamedTuple):
    """One figure. `kind` counter only rises; gauge is a reading; sample is one of a distribution.

    `label` tells its series apart, "" where there is one. `exporter` serves it: the Airflow plugin or each
    gate process.
    """

    name: str
    stage: Stage
    kind: Literal["counter", "gauge", "sample"]
    unit: str
    meaning: str
    label: str = ""
    exporter: Exporter = "airflow"

    @property
    def prometheus(self) -> str:
        """The name that Prometheus knows it by, without the suffixes `_total`, `_bucket`, `_sum` and `_count`."""
        return f"showroom_{self.name.replace('.', '_')}"


METRICS: tuple[Metric, ...] = (
    Metric("ingest.produced", "ingest", "counter", "records", "records that have reached sessions.raw"),
    Metric("gate.records", "gate", "counter", "records", "records decided, by verdict (valid or a reason)", "verdict"),
    Metric("gate.heartbeat_age_s", "gate", "gauge", "s", "time since the gate last looked at a partition", "partition"),
    Metric("gate.lag", "gate", "gauge", "records", "raw records not yet decided"),
    Metric("gate.redis_memory_ratio", "gate", "gauge", "ratio", "memory in use / SHOWROOM_REDIS_MAX_MEMORY_MB"),
    Metric("gate.users_unique", "gate", "gauge", "users", "admitted users, a HyperLogLog's estimate"),
    Metric("gate.users_known", "gate", "gauge", "users", "users in the Bloom filter"),
    Metric(
        "gate.committed",
        "gate",
        "counter",
        "records",
        "records in committed transactions of a process",
        exporter="gate",
    ),
    Metric("gate.commit_s", "gate", "sample", "s", "duration of a committed transaction", exporter="gate"),
    Metric(
        "gate.commit_failures",
        "gate",
        "counter",
        "transactions",
        "transactions that a process gave up",
        exporter="gate",
    ),
    Metric("archive.sessions", "archive", "gauge", "sessions", "sessions in MongoDB"),
    Metric("archive.lag", "archive", "gauge", "records", "valid records that are not archived"),
    Metric("archive.unreadable", "archive", "gauge", "records", "records of sessions.valid that were no session"),
    Metric("archive.gaps", "archive", "gauge", "offsets", "offsets that expired before they were archived"),
    Metric("stream.lag", "stream", "gauge", "records", "valid records not yet covered by a checkpoint"),
    Metric("stream.checkpoint_age_s", "stream", "gauge", "s", "time since the last completed checkpoint"),
    Metric("stream.restarts", "stream", "counter", "restarts", "restarts of the job since it was submitted"),
    Metric("serving.documents", "serving", "gauge", "documents", "searchable documents, by index", "index"),
    Metric("serving.refused", "serving", "counter", "documents", "documents Elasticsearch refused"),
    Metric("serving.rejections", "serving", "counter", "writes", "writes that Elasticsearch has rejected with 429"),
    Metric("serving.newest_session_age_s", "serving", "gauge", "s", "time since the newest searchable session arrived"),
    Metric(
        "supervise.available", "supervise", "gauge", "", "1 for each part that answers the supervisor, else 0", "part"
    ),
    Metric("supervise.action", "supervise", "gauge", "", "1 for the action that is decided now, else 0", "action"),
    Metric("supervise.decision_age_s", "supervise", "gauge", "s", "time since the last recorded decision"),
    Metric("supervise.starts", "supervise", "gauge", "starts", "stream starts within the restart window"),
    Metric("supervise.alerts", "supervise", "gauge", "", "1 for each alert that fires, else 0", "alert"),
    Metric(
        "supervise.heartbeat_age_s", "supervise", "gauge", "s", "time since the last heartbeat, NaN before the first"
    ),
)
