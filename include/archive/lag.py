"""Lag of the archive by partition; cheap enough for every cycle of supervision."""

from pymongo.database import Database

from include.archive import source, store, watermark
from include.clients.mongodb import Document
from include.contracts.settings import KafkaSettings, Settings
from include.contracts.topics import VALID

TIMEOUT_S = 3.0
"""Limit of each request to Kafka and MongoDB."""


def partition_lag(settings: Settings, timeout_s: float = TIMEOUT_S) -> dict[int, int]:
    """Count the offsets between each watermark and the end of committed records.

    Opens its own clients and sends four requests to Kafka and one to MongoDB. Offsets include transaction markers,
    so the count is an upper bound of sessions; it is 0 when the archive has caught up. Expired offsets do not count.

    Args:
        settings: addresses of Kafka and MongoDB.
        timeout_s: limit of each request.

    Returns:
        Partition -> offsets not read yet.

    Raises:
        TransientError: Kafka or MongoDB is unavailable, or the topic does not exist.
        TerminalError: a watermark belongs to an earlier topic of the same name, or exceeds the end.
    """
    with store.connect(settings.mongodb, timeout_s=timeout_s) as client:
        return database_lag(settings.kafka, store.database(client, settings.mongodb), timeout_s)


def database_lag(
    settings: KafkaSettings, database: Database[Document], timeout_s: float = source.REQUEST_S
) -> dict[int, int]:
    """Return the same as `partition_lag`, for an open database."""
    # Read watermarks before ends, because a concurrent load may then only increase the result.
    topic = source.describe(settings, VALID, timeout_s)
    offsets = watermark.read(database, VALID, topic.topic_id, topic.partitions)
    bounds = source.bounds(settings, VALID, topic.partitions, timeout_s)
    watermark.require_below(offsets, bounds.ends, VALID)
    return {
        partition: bounds.ends[partition] - max(offset, bounds.beginnings[partition])
        for partition, offset in offsets.items()
    }
