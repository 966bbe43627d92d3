"""Names, kinds and meanings of every figure a stage publishes; the only place where they are declared."""

from typing import Literal, NamedTuple

Stage = Literal["ingest", "gate", "archive", "stream", "serving", "batch", "supervise"]


class Metric(NamedTuple):
    """One figure. `kind` counter only rises; gauge is a reading; sample is one of a distribution."""

    name: str
    stage: Stage
    kind: Literal["counter", "gauge", "sample"]
    unit: str
    meaning: str


METRICS: tuple[Metric, ...] = (
    Metric("ingest.produced", "ingest", "counter", "records", "records acknowledged by the broker"),
    Metric("gate.records", "gate", "counter", "records", "records decided, by verdict (valid or a reason)"),
    Metric("gate.heartbeat_age_s", "gate", "gauge", "s", "time since the gate last looked at a partition"),
    Metric("gate.lag", "gate", "gauge", "records", "raw records not yet decided"),
    Metric("gate.redis_memory_ratio", "gate", "gauge", "ratio", "memory in use / SHOWROOM_REDIS_MAX_MEMORY_MB"),
    Metric("gate.users_unique", "gate", "gauge", "users", "admitted users, a HyperLogLog's estimate"),
    Metric("gate.users_known", "gate", "gauge", "users", "users in the Bloom filter"),
    Metric("archive.sessions", "archive", "counter", "sessions", "sessions written to MongoDB, repeated ones included"),
    Metric("archive.behind", "archive", "gauge", "records", "valid records below the end that are not archived"),
    Metric("archive.unreadable", "archive", "counter", "records", "records of sessions.valid that were no session"),
    Metric("archive.gaps", "archive", "counter", "offsets", "offsets that expired before they were archived"),
    Metric("stream.lag", "stream", "gauge", "records", "valid records not yet covered by a checkpoint"),
    Metric("stream.checkpoint_age_s", "stream", "gauge", "s", "time since the last completed checkpoint"),
    Metric("stream.restarts", "stream", "counter", "restarts", "restarts of the job since it was submitted"),
    Metric("serving.documents", "serving", "gauge", "documents", "searchable documents, by index"),
    Metric("serving.refused", "serving", "counter", "documents", "documents Elasticsearch refused"),
    Metric("serving.freshness_s", "serving", "sample", "s", "from produced to searchable, per session"),
)
