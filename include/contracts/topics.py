"""Kafka topics: names, retention, and the headers a rejected record carries."""

from typing import NamedTuple

DAY_MS = 86_400_000
# A record lives for its retention plus the time in which its segment is active (`segment.ms`).
SEGMENT_DAYS = 7
# `offsets.retention.minutes` of the brokers. Committed offsets must outlive each record they cover. Kafka's default is
# 7 days, but dead letters are retained for longer.
OFFSETS_RETENTION_DAYS = 45
MAX_MESSAGE_BYTES = 4 * 1024 * 1024

RAW = "sessions.raw"
VALID = "sessions.valid"
REJECTED = "sessions.rejected"
DEAD = "documents.dead"
KPI = "kpi.minute"

GATE_GROUP = "gate"
STREAM_GROUP = "stream"
REDRIVE_GROUP = "redrive"
KPI_GROUP = f"{STREAM_GROUP}-kpi"
KPI_ROWS_GROUP = f"{STREAM_GROUP}-rows"


class Topic(NamedTuple):
    """One topic. A `compacted` topic retains the newest value of each key."""

    name: str
    retention_days: int
    compacted: bool
    holds: str

    def config(self, replication: int = 1) -> dict[str, str]:
        """Return the broker-side configuration for a number of replicas.

        An acknowledged record is on at least `replication - 1` replicas. Timestamps are the broker's: retention must
        not depend on a session's clock (a replayed log would expire at once), and the gate compares clocks with them.
        """
        config = {
            "message.timestamp.type": "LogAppendTime",
            "min.insync.replicas": str(max(1, replication - 1)),
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
            "cleanup.policy": "compact" if self.compacted else "delete",
        }
        if not self.compacted:
            config["retention.ms"] = str(self.retention_days * DAY_MS)
        return config


TOPICS: tuple[Topic, ...] = (
    Topic(RAW, 3, False, "sessions as the source sent them; key = user_id"),
    Topic(VALID, 30, False, "admitted sessions without personal data; key = pseudonym"),
    # Contains personal data: never retained longer than the raw topic.
    Topic(REJECTED, 3, False, "rejected records: their own key and bytes, the reason in the headers"),
    Topic(DEAD, 30, False, "documents that Elasticsearch refused, with the reason"),
    Topic(KPI, 0, True, "the newest state of each kpi_minute row; key = its document id"),
)

HEADER_REASON = "reason"
HEADER_DETAIL = "detail"
HEADER_TOPIC = "topic"
HEADER_PARTITION = "partition"
HEADER_OFFSET = "offset"
HEADER_LENGTH = "length"
HEADER_SHA256 = "sha256"
HEADER_KEY_LENGTH = "key_length"
"""Set on a rejected record whose value or key is stored as a prefix."""
HEADER_ORIGIN = "origin"
"""Set on an admitted session: `partition:offset` of its raw record."""
