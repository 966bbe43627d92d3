"""History check of the gate: each raw offset occurs exactly once in the committed outputs."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from include.contracts import topics
from include.contracts.settings import KafkaSettings

MAX_MESSAGES = 10_000
READ_TIMEOUT_S = 1.0

Origin = tuple[int, int]


class _Id(msgspec.Struct):
    session_id: str


_decode = msgspec.json.Decoder(_Id).decode


class History(NamedTuple):
    """Counts of a history check.

    Attributes:
        raw: Raw records.
        lost: Raw records without an output.
        duplicated: Outputs without a raw record.
        rejected: Rejected records.
        aborted: Records of aborted transactions.
    """

    raw: int
    lost: int
    duplicated: int
    rejected: int
    aborted: int


def check_history(
    settings: KafkaSettings, raw: str = topics.RAW, outputs: tuple[str, ...] = (topics.VALID, topics.REJECTED)
) -> History:
    """Compare the outputs with the raw topic by origin.

    Session ids in the raw topic must be unique, because outputs without the header `origin` are matched by session id.
    """
    origins = {_decode(value).session_id: origin for origin, value in _read_raw(settings, raw)}
    outputs_by_origin: Counter[Origin] = Counter()
    rejected = 0
    for message in read(settings, outputs):
        outputs_by_origin[read_origin(message, origins)] += 1
        rejected += message.topic() == outputs[-1]
    all_records = sum(1 for _ in read(settings, outputs, isolation="read_uncommitted"))
    expected = set(origins.values())
    return History(
        raw=len(expected),
        lost=len(expected - set(outputs_by_origin)),
        duplicated=sum(count - 1 for count in outputs_by_origin.values()) + len(set(outputs_by_origin) - expected),
        rejected=rejected,
        aborted=all_records - sum(outputs_by_origin.values()),
    )


def read_origin(message: Message, origins: dict[str, Origin]) -> Origin:
    """Return the partition and offset of the raw record of an output."""
    headers = dict(message.headers() or [])
    if topics.HEADER_ORIGIN in headers:
        partition, _, offset = _decode_header(headers[topics.HEADER_ORIGIN]).partition(":")
        return int(partition), int(offset)
    if topics.HEADER_OFFSET in headers:
        return int(_decode_header(headers[topics.HEADER_PARTITION])), int(_decode_header(headers[topics.HEADER_OFFSET]))
    return origins[_decode(message.value() or b"").session_id]


def read_backlog_origin(message: Message, partitions: int) -> Origin:
    """Return the partition and offset of a session of drills/backlog.py, computed from its number."""
    number = int(_decode(message.value() or b"").session_id.removeprefix("s-"))
    return number % partitions, number // partitions


def read(settings: KafkaSettings, names: tuple[str, ...], isolation: str = "read_committed") -> Iterator[Message]:
    """Yield all records of topics up to their current end."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.bootstrap_servers,
            "group.id": "drill",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": isolation,
            "enable.partition.eof": True,
        }
    )
    try:
        partitions = [TopicPartition(name, number, 0) for name in names for number in range(settings.partitions)]
        consumer.assign(partitions)
        unfinished = {(topic_partition.topic, topic_partition.partition) for topic_partition in partitions}
        while unfinished:
            messages = consumer.consume(MAX_MESSAGES, READ_TIMEOUT_S)
            for message in messages:
                error = message.error()
                if error is None:
                    yield message
                elif error.name() == "_PARTITION_EOF":
                    unfinished.discard((message.topic() or "", message.partition() or 0))
                elif not error.retriable():
                    raise KafkaException(error)
    finally:
        consumer.close()


def _read_raw(settings: KafkaSettings, topic: str) -> Iterator[tuple[Origin, bytes]]:
    for message in read(settings, (topic,)):
        yield (message.partition() or 0, message.offset() or 0), message.value() or b""


def _decode_header(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
