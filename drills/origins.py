"""The history check of the gate: each raw offset exactly once in the committed outputs."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from include.contracts import topics
from include.contracts.settings import Settings

CHUNK = 10_000
READ_S = 1.0
EMPTY_READS = 20

Origin = tuple[int, int]


class _Id(msgspec.Struct):
    session_id: str


_decode = msgspec.json.Decoder(_Id).decode


class History(NamedTuple):
    """Raw records, outputs by origin, rejected ones, and records of aborted transactions."""

    raw: int
    lost: int
    duplicated: int
    rejected: int
    aborted: int


def check_history(
    settings: Settings, raw: str = topics.RAW, outputs: tuple[str, ...] = (topics.VALID, topics.REJECTED)
) -> History:
    """Compare the outputs with the raw topic, by origin.

    Session ids in the raw topic must be unique: older gates wrote no header `origin`, and their outputs are matched by
    session id.
    """
    origins = {_decode(value).session_id: origin for origin, value in _raw(settings, raw)}
    seen: Counter[Origin] = Counter()
    rejected = 0
    for message in read(settings, outputs):
        seen[origin_of(message, origins)] += 1
        rejected += message.topic() == outputs[-1]
    everything = sum(1 for _ in read(settings, outputs, isolation="read_uncommitted"))
    expected = set(origins.values())
    return History(
        raw=len(expected),
        lost=len(expected - set(seen)),
        duplicated=sum(count - 1 for count in seen.values()) + len(set(seen) - expected),
        rejected=rejected,
        aborted=everything - sum(seen.values()),
    )


def origin_of(message: Message, origins: dict[str, Origin]) -> Origin:
    """The raw record an output came from."""
    headers = dict(message.headers() or [])
    if topics.HEADER_ORIGIN in headers:
        partition, _, offset = _text(headers[topics.HEADER_ORIGIN]).partition(":")
        return int(partition), int(offset)
    if topics.HEADER_OFFSET in headers:
        return int(_text(headers[topics.HEADER_PARTITION])), int(_text(headers[topics.HEADER_OFFSET]))
    return origins[_decode(message.value() or b"").session_id]


def origin_by_id(message: Message, partitions: int) -> Origin:
    """The raw record of a session that drills/backlog.py made: its number says where it was appended."""
    number = int(_decode(message.value() or b"").session_id.removeprefix("s-"))
    return number % partitions, number // partitions


def read(settings: Settings, names: tuple[str, ...], isolation: str = "read_committed") -> Iterator[Message]:
    """All records of topics up to their end now."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            "group.id": "drill",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": isolation,
            "enable.partition.eof": True,
        }
    )
    try:
        partitions = [TopicPartition(name, number, 0) for name in names for number in range(settings.kafka.partitions)]
        consumer.assign(partitions)
        open_ = {(topic_partition.topic, topic_partition.partition) for topic_partition in partitions}
        while open_:
            messages = consumer.consume(CHUNK, READ_S)
            for message in messages:
                error = message.error()
                if error is None:
                    yield message
                elif error.name() == "_PARTITION_EOF":
                    open_.discard((message.topic() or "", message.partition() or 0))
                elif not error.retriable():
                    raise KafkaException(error)
    finally:
        consumer.close()


def _raw(settings: Settings, topic: str) -> Iterator[tuple[Origin, bytes]]:
    for message in read(settings, (topic,)):
        yield (message.partition() or 0, message.offset() or 0), message.value() or b""


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
