"""Search `sessions.rejected` from the newest record backwards, within a time limit.

The topic has no index: it is read in windows of offsets, and a record is decoded only if its bytes can match. Offsets
are sparse, because transaction markers and aborted records take offsets too.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from kafka.partitioner.default import murmur2

from include.clients.confluent_kafka import translate_errors
from include.contracts import topics
from include.contracts.settings import KafkaSettings
from include.gate.redact import decode_object, redact_identifier, redact_text
from include.gate.rejected_consumer import open_consumer, read_bounds

FIRST_WINDOW, MAX_WINDOW, WINDOW_GROWTH = 200, 100_000, 16
"""Number of offsets of one partition that one window reads."""
TIMEOUT_S = 10.0
POLL_S = 0.25
POLL_RECORDS = 2_000


class RejectedRecord(NamedTuple):
    """One rejected record. Texts are redacted; `value` is the record as sent, with personal data.

    `rejected_at` is the broker's time of the rejection; `topic`, `partition` and `offset` are the origin.
    """

    rejected_at: datetime
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    session_id: str
    value: bytes


@dataclass(frozen=True, kw_only=True)
class Query:
    """Filters of a search, newest record first. `user_id` is the raw id, as the source sends it.

    `since` limits the search to records that were rejected after it; None searches all that Kafka retains.
    """

    session_id: str | None = None
    user_id: str | None = None
    last: int = 20
    since: datetime | None = None


class SearchResult(NamedTuple):
    """`scanned` counts the records read. Not `complete`: the time limit ended the search early.

    `back_to` is the time of the oldest record read.
    """

    records: list[RejectedRecord]
    scanned: int
    complete: bool
    back_to: datetime | None


def find_rejected(settings: KafkaSettings, query: Query, timeout_s: float = TIMEOUT_S) -> SearchResult:
    """Search rejected records, newest first.

    Args:
        settings: Where Kafka is.
        query: The filters.
        timeout_s: Seconds after which the search returns its partial result.

    Returns:
        At most `query.last` records.

    Raises:
        TransientError: Kafka is unavailable, or the topic does not exist.
    """
    deadline = time.monotonic() + timeout_s
    with (
        translate_errors(f"search of {topics.REJECTED}", settings.bootstrap_servers),
        open_consumer(settings) as consumer,
    ):
        search = _Search(consumer, query, deadline, read_bounds(consumer, query.since))
        partitions = sorted(search.bounds)
        if query.user_id is not None and partitions:
            own = partition_of(query.user_id, len(partitions))
            search.run([own])
            # Another partitioner, or an incorrect or missing key, places a user's record in another partition.
            partitions = [partition for partition in partitions if partition != own]
        if len(search.records) < query.last:
            search.run(partitions)
    return search.result()


def partition_of(user_id: str, partitions: int) -> int:
    """Return the partition of a user's records: murmur2 of the key, as in the Java client and in the publisher."""
    return int(murmur2(user_id.encode()) & 0x7FFFFFFF) % partitions


def matcher(query: Query) -> Callable[[bytes | None, bytes], bool]:
    """Return whether a key and a value match the query; bytes are compared before decoding."""
    if query.user_id is not None:
        return _user_matcher(query.user_id)
    if query.session_id is not None:
        return _session_matcher(query.session_id)
    return lambda key, value: True


def _user_matcher(user_id: str) -> Callable[[bytes | None, bytes], bool]:
    """Match the key and the user in the value, because a record is also rejected if the two differ."""
    plain, escaped = user_id.encode(), json.dumps(user_id)[1:-1].encode()

    def matches(key: bytes | None, value: bytes) -> bool:
        if key == plain:
            return True
        if plain not in value and escaped not in value:
            return False
        tree = decode_object(value)
        return tree is not None and bool(tree.get("user_id") == user_id)

    return matches


def _session_matcher(session_id: str) -> Callable[[bytes | None, bytes], bool]:
    plain, escaped = session_id.encode(), json.dumps(session_id)[1:-1].encode()

    def matches(_: bytes | None, value: bytes) -> bool:
        if plain not in value and escaped not in value:
            return False
        tree = decode_object(value)
        # A malformed record cannot be decoded, and a duplicate key hides one of two values: compare the bytes.
        if tree is None or value.count(b'"session_id"') != 1:
            return True
        return bool(tree.get("session_id") == session_id)

    return matches


@dataclass
class _Search:
    consumer: Consumer
    query: Query
    deadline: float
    bounds: dict[int, tuple[int, int]]
    """Partition -> its oldest offset and the offset after its newest, limited by `since`."""
    records: list[RejectedRecord] = field(default_factory=list)
    scanned: int = 0
    complete: bool = True
    oldest_ms: dict[int, int] = field(default_factory=dict)

    def run(self, partitions: list[int]) -> None:
        """Read these partitions backwards until enough records match, all are read, or the time is over."""
        matches = matcher(self.query)
        lows = {partition: self.bounds[partition][1] for partition in partitions}
        window = max(FIRST_WINDOW, self.query.last)
        while pending := [partition for partition, low in lows.items() if low > self.bounds[partition][0]]:
            if self._is_enough(pending):
                return
            ranges = {p: (max(self.bounds[p][0], lows[p] - window), lows[p]) for p in pending}
            for message in self._read(ranges):
                self.scanned += 1
                partition, at_ms = _partition(message), message.timestamp()[1]
                self.oldest_ms[partition] = min(at_ms, self.oldest_ms.get(partition, at_ms))
                if matches(message.key(), message.value() or b""):
                    self.records.append(to_rejected(message))
            self._keep_newest()
            if not self.complete:
                return
            lows |= {partition: start for partition, (start, _) in ranges.items()}
            window = min(window * WINDOW_GROWTH, MAX_WINDOW)

    def result(self) -> SearchResult:
        """Return the matching records, newest first."""
        self._keep_newest()
        oldest = min(self.oldest_ms.values(), default=None)
        back_to = None if oldest is None else _instant(oldest)
        return SearchResult(self.records, self.scanned, self.complete, back_to)

    def _keep_newest(self) -> None:
        self.records.sort(key=lambda one: (one.rejected_at, one.partition, one.offset), reverse=True)
        del self.records[self.query.last :]

    def _is_enough(self, pending: list[int]) -> bool:
        """Return whether no unread record can be newer than the last required one: times of a partition only rise."""
        if len(self.records) < self.query.last:
            return False
        last = self.records[-1].rejected_at
        return all(p in self.oldest_ms and _instant(self.oldest_ms[p]) <= last for p in pending)

    def _read(self, ranges: Mapping[int, tuple[int, int]]) -> Iterator[Message]:
        """Read one range of offsets per partition; ends early, and not `complete`, at the deadline."""
        topic_partitions = [TopicPartition(topics.REJECTED, p, start) for p, (start, _) in ranges.items()]
        self.consumer.assign(topic_partitions)
        # A partition that the previous range paused stays paused.
        self.consumer.resume(topic_partitions)
        unread = set(ranges)
        while unread:
            left_s = self.deadline - time.monotonic()
            if left_s <= 0:
                self.complete = False
                return
            # Wait for the first record only: the client would wait for as many records as requested.
            first = self.consumer.consume(1, min(POLL_S, left_s))
            for message in [*first, *self.consumer.consume(POLL_RECORDS, 0)]:
                partition = _partition(message)
                if _is_end(message) or (message.offset() or 0) >= ranges[partition][1]:
                    unread.discard(partition)
                    self.consumer.pause([TopicPartition(topics.REJECTED, partition)])
                elif partition in unread:
                    yield message


def to_rejected(message: Message) -> RejectedRecord:
    """Convert a record of `sessions.rejected`; missing headers give an empty text or -1."""
    headers = {str(name): _text(value) for name, value in list(message.headers() or ())}
    value = message.value() or b""
    tree = decode_object(value) or {}
    session_id = tree.get("session_id")
    return RejectedRecord(
        rejected_at=_instant(message.timestamp()[1]),
        reason=redact_text(headers.get(topics.HEADER_REASON, "")),
        detail=redact_text(headers.get(topics.HEADER_DETAIL, "")),
        topic=redact_text(headers.get(topics.HEADER_TOPIC, "")),
        partition=_number(headers.get(topics.HEADER_PARTITION, "")),
        offset=_number(headers.get(topics.HEADER_OFFSET, "")),
        session_id=redact_identifier(session_id) if isinstance(session_id, str) else "",
        value=value,
    )


def _is_end(message: Message) -> bool:
    """Return whether this is the end of a partition instead of a record. Raises KafkaException for any other error."""
    error = message.error()
    if error is None:
        return False
    if error.code() == KafkaError._PARTITION_EOF:
        return True
    raise KafkaException(error)


def _partition(message: Message) -> int:
    partition = message.partition()
    return -1 if partition is None else partition


def _text(value: bytes | str | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else -1


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1_000, UTC)
