"""All metrics: names, kinds, units and meanings."""

from typing import Literal, NamedTuple

Stage = Literal["ingest", "gate", "archive", "stream", "serving", "batch", "supervise"]


Exporter = Literal["airflow", "gate"]


class Metric(NamedTuple):
    """One metric: a counter, a gauge, or a sample of a distribution.

    `label` separates the series; "" if there is only one. `exporter` serves the metric: the Airflow plugin or each
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
        """The Prometheus name without the suffixes `_total`, `_bucket`, `_sum` and `_count`."""
        return f"showroom_{self.name.replace('.', '_')}"


METRICS: tuple[Metric, ...] = (
    Metric("ingest.produced", "ingest", "counter", "records", "records in sessions.raw"),
    Metric("gate.records", "gate", "counter", "records", "records decided, by verdict (valid or a reason)", "verdict"),
    Metric("gate.heartbeat_age_s", "gate", "gauge", "s", "time since the gate last polled a partition", "partition"),
    Metric("gate.lag", "gate", "gauge", "records", "raw records without a verdict"),
    Metric("gate.redis_memory_ratio", "gate", "gauge", "ratio", "memory in use / SHOWROOM_REDIS_MAX_MEMORY_MB"),
    Metric("gate.users_unique", "gate", "gauge", "users", "admitted users, HyperLogLog estimate"),
    Metric("gate.bloom_items", "gate", "gauge", "users", "users in the Bloom filter"),
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
        "transactions that a process aborted",
        exporter="gate",
    ),
    Metric("archive.sessions", "archive", "gauge", "sessions", "sessions in MongoDB"),
    Metric("archive.lag", "archive", "gauge", "records", "valid records that are not archived"),
    Metric("archive.undecodable", "archive", "gauge", "records", "records of sessions.valid that could not be decoded"),
    Metric("archive.expired_offsets", "archive", "gauge", "offsets", "offsets that expired before they were archived"),
    Metric("stream.lag", "stream", "gauge", "records", "valid records not yet covered by a checkpoint"),
    Metric("stream.checkpoint_age_s", "stream", "gauge", "s", "time since the last completed checkpoint"),
    Metric("stream.restarts", "stream", "counter", "restarts", "restarts of the job since it was submitted"),
    Metric("serving.documents", "serving", "gauge", "documents", "searchable documents, by index", "index"),
    Metric("serving.dead_letters", "serving", "counter", "documents", "documents Elasticsearch refused"),
    Metric("serving.rejections", "serving", "counter", "writes", "writes that Elasticsearch has rejected with 429"),
    Metric("serving.newest_session_age_s", "serving", "gauge", "s", "time since the newest searchable session arrived"),
    Metric(
        "supervise.available",
        "supervise",
        "gauge",
        "",
        "1 for each reachable server, else 0",
        "part",
    ),
    Metric("supervise.action", "supervise", "gauge", "", "1 for the current action, else 0", "action"),
    Metric("supervise.decision_age_s", "supervise", "gauge", "s", "time since the last recorded decision"),
    Metric("supervise.starts", "supervise", "gauge", "starts", "stream starts within the restart window"),
    Metric("supervise.alerts", "supervise", "gauge", "", "1 for each alert that fires, else 0", "alert"),
    Metric(
        "supervise.heartbeat_age_s", "supervise", "gauge", "s", "time since the last heartbeat, NaN before the first"
    ),
)
