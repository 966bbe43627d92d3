"""Counts of Kafka's records in one span of broker time, in bounded memory."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from include.clients.kafka import create_consumer, raise_translated, translate_errors
from include.contracts import dead_letters, topics
from include.contracts.errors import TransientError
from include.contracts.settings import KafkaSettings, Settings
from include.supervise.admitted_session import AdmittedSession, SessionKey, decode
from include.supervise.origins import Origins
from include.supervise.reconcile import BY_SESSION, Evidence, Rows

POLL_MS = 1_000
POLL_RECORDS = 5_000
RESPONSE_TIMEOUT_MS = 10_000
MAX_EMPTY_POLLS = 60
MAX_BROKER_CLOCK_STEP = timedelta(minutes=1)
"""Maximum step back of the broker's clock; otherwise the arrival times of a partition only rise."""
_FIELD = r'"{}":\s*"([^"]+)"'
_SESSION, _USER, _RECEIVED = (re.compile(_FIELD.format(name)) for name in ("session_id", "user_id", "received_at"))

Offsets = dict[TopicPartition, int]


class HourlyCounts:
    """Read the topics for [start, end). Every method raises TransientError while Kafka is unavailable."""

    def __init__(
        self, settings: Settings, start: datetime, end: datetime, bootstrap_ms: int = RESPONSE_TIMEOUT_MS
    ) -> None:
        self._settings, self._start, self._end, self._bootstrap_ms = settings, start, end, bootstrap_ms

    def __enter__(self) -> Self:
        with translate_errors("read of the hours", self._settings.kafka.bootstrap_servers):
            self._consumer = _consumer(self._settings.kafka, bootstrap_ms=self._bootstrap_ms)
            self._from = self._offsets_at(topics.RAW, self._start)
            self._until = self._offsets_at(topics.RAW, self._end)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()
        if isinstance(error, KafkaError):
            raise_translated(error, "read of the hours", self._settings.kafka.bootstrap_servers)

    def raw(self) -> int:
        """Return the offsets of `sessions.raw`: its records, and the markers of its producers' transactions."""
        return sum(self._until[topic_partition] - self._from[topic_partition] for topic_partition in self._from)

    def undecided(self) -> int:
        """Return those of them that the gate has not decided."""
        done = committed(self._settings.kafka, topics.GATE_GROUP, topics.RAW)
        return sum(
            max(0, self._until[topic_partition] - max(done[topic_partition.partition], self._from[topic_partition]))
            for topic_partition in self._from
        )

    def evidence(self) -> Evidence:
        """Count rejected and admitted records of the hour, once `undecided` was 0.

        Reads up to the present ends, open transactions included, because the coordinator may publish the offsets of
        the gate's transaction before its records. Offsets without a decision are read in `sessions.raw`, because
        markers and aborted records are not lost records.
        """
        ends = {topic: end_offsets(self._settings.kafka, topic) for topic in (topics.REJECTED, topics.VALID)}
        origins = Origins(_by_partition(self._from), _by_partition(self._until))
        months: defaultdict[str, Rows] = defaultdict(Rows)
        partitions: defaultdict[str, Rows] = defaultdict(Rows)
        bounds: dict[str, int] = {}
        for record, session in self._sessions(ends[topics.VALID]):
            months[session.month].add(session.rows)
            partitions[str(record.partition)].add(session.rows)
            bounds[str(record.partition)] = record.offset + 1
            if origin := _origin(record):
                origins.add(*origin)
        rejected = self._rejected(ends[topics.REJECTED], origins)
        return Evidence(
            raw=origins.decided + self._undecided_records(origins),
            rejected=rejected,
            months=dict(months),
            bounds=bounds,
            partitions=dict(partitions),
            repeated=origins.repeated,
        )

    def sessions(self) -> Iterator[AdmittedSession]:
        """Read the admitted sessions of the hour again."""
        for _, session in self._sessions(end_offsets(self._settings.kafka, topics.VALID)):
            yield session

    def dead(self) -> dict[str, dict[SessionKey, int]]:
        """Return index -> session -> distinct documents that became dead letters."""
        ids: dict[str, defaultdict[SessionKey, set[str]]] = {index: defaultdict(set) for index in BY_SESSION}
        for record in self._read(topics.DEAD, end_offsets(self._settings.kafka, topics.DEAD), lambda _: False):
            dead_letter = dead_letters.decode(record.value)
            if dead_letter is None:
                continue
            index = next((name for name in BY_SESSION if dead_letter.index.startswith(name)), None)
            session, user = _SESSION.search(dead_letter.document), _USER.search(dead_letter.document)
            received = _RECEIVED.search(dead_letter.document)
            if index and dead_letter.id and session and user and (received is None or self._is_in_span(received[1])):
                ids[index][SessionKey(user[1], session[1])].add(dead_letter.id)
        return {index: {key: len(documents) for key, documents in by_key.items()} for index, by_key in ids.items()}

    def _undecided_records(self, origins: Origins) -> int:
        """Count the raw records without a decision; those of an earlier version of the gate are among them."""
        ends = _by_partition(self._from) | origins.undecided_ends()
        return sum(
            not origins.has(record.partition, record.offset) for record in self._read(topics.RAW, ends, lambda _: False)
        )

    def _rejected(self, ends: dict[int, int], origins: Origins) -> dict[str, int]:
        counts: Counter[str] = Counter()

        def origin(record: Any) -> tuple[TopicPartition, int, str]:
            headers = {name: value.decode() for name, value in record.headers}
            topic_partition = TopicPartition(
                headers.get(topics.HEADER_TOPIC), int(headers.get(topics.HEADER_PARTITION, -1))
            )
            return topic_partition, int(headers.get(topics.HEADER_OFFSET, -1)), headers.get(topics.HEADER_REASON, "")

        def is_later(record: Any) -> bool:
            # The gate writes to the partition that it reads, in the order of reading.
            topic_partition, offset, _ = origin(record)
            return bool(
                topic_partition.partition == record.partition and offset >= self._until.get(topic_partition, offset + 1)
            )

        for record in self._read(topics.REJECTED, ends, is_later):
            topic_partition, offset, reason = origin(record)
            if topic_partition in self._from and self._from[topic_partition] <= offset < self._until[topic_partition]:
                counts[reason] += 1
                origins.add(topic_partition.partition, offset)
        return dict(counts)

    def _sessions(self, ends: dict[int, int]) -> Iterator[tuple[Any, AdmittedSession]]:
        past = self._end + MAX_BROKER_CLOCK_STEP
        decoded: AdmittedSession | None = None

        def is_later(record: Any) -> bool:
            nonlocal decoded
            decoded = decode(record.value)
            return decoded is not None and decoded.received_at >= past

        for record in self._read(topics.VALID, ends, is_later):
            if decoded is not None and self._start <= decoded.received_at < self._end:
                yield record, decoded

    def _is_in_span(self, instant: str) -> bool:
        try:
            at = datetime.fromisoformat(instant)
        except ValueError:
            return False
        return self._start <= (at if at.tzinfo else at.replace(tzinfo=UTC)) < self._end

    def _offsets_at(self, topic: str, instant: datetime) -> Offsets:
        topic_partitions = _topic_partitions(self._settings.kafka, topic)
        offsets = self._consumer.offsets_for_times(dict.fromkeys(topic_partitions, int(instant.timestamp() * 1_000)))
        ends = self._consumer.end_offsets(topic_partitions)
        return {
            topic_partition: offsets[topic_partition].offset if offsets.get(topic_partition) else ends[topic_partition]
            for topic_partition in topic_partitions
        }

    def _read(self, topic: str, ends: dict[int, int], is_later: Callable[[Any], bool]) -> Iterator[Any]:
        """Read committed records from the start of the span, of each partition to its end or the first later one."""
        begin = self._offsets_at(topic, self._start)
        unread = {
            topic_partition for topic_partition, offset in begin.items() if offset < ends[topic_partition.partition]
        }
        self._consumer.assign(sorted(unread))
        for topic_partition in unread:
            self._consumer.seek(topic_partition, begin[topic_partition])
        idle = 0
        while unread:
            polled = self._consumer.poll(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
            idle = 0 if polled else idle + 1
            if idle > MAX_EMPTY_POLLS:
                raise TransientError(f"{topic} cannot be read to its end", "check Kafka with ./showroom status")
            done: set[TopicPartition] = set()
            for topic_partition, records in polled.items():
                for record in records:
                    if record.offset >= ends[topic_partition.partition] or is_later(record):
                        done.add(topic_partition)
                        break
                    yield record
            done |= {
                topic_partition
                for topic_partition in unread
                if self._consumer.position(topic_partition) >= ends[topic_partition.partition]
            }
            unread -= done
            if unread and done:
                self._consumer.pause(*done)


def oldest_raw(settings: KafkaSettings) -> datetime | None:
    """Return the arrival of the oldest raw record, None without one. Raises TransientError."""
    with (
        translate_errors("read of the oldest record", settings.bootstrap_servers),
        _consumer(settings) as consumer,
    ):
        offsets = consumer.offsets_for_times(dict.fromkeys(_topic_partitions(settings, topics.RAW), 0))
    arrivals = [entry.timestamp for entry in offsets.values() if entry is not None]
    return datetime.fromtimestamp(min(arrivals) / 1_000, UTC) if arrivals else None


def committed(
    settings: KafkaSettings, group: str, topic: str, bootstrap_ms: int = RESPONSE_TIMEOUT_MS
) -> dict[int, int]:
    """Return partition -> the offset that a group has committed. Raises TransientError."""
    topic_partitions = _topic_partitions(settings, topic)
    with (
        translate_errors(f"committed offsets of {group}", settings.bootstrap_servers),
        _consumer(settings, group, bootstrap_ms=bootstrap_ms) as reader,
    ):
        begins = reader.beginning_offsets(topic_partitions)
        offsets = {
            topic_partition: reader.committed(topic_partition, timeout_ms=RESPONSE_TIMEOUT_MS)
            for topic_partition in topic_partitions
        }
    return {
        topic_partition.partition: max(begins[topic_partition], offsets[topic_partition] or 0)
        for topic_partition in topic_partitions
    }


def end_offsets(settings: KafkaSettings, topic: str, bootstrap_ms: int = RESPONSE_TIMEOUT_MS) -> dict[int, int]:
    """Return partition -> the offset after its last record, committed or not. Raises TransientError."""
    with (
        translate_errors(f"end offsets of {topic}", settings.bootstrap_servers),
        _consumer(settings, isolation_level="read_uncommitted", bootstrap_ms=bootstrap_ms) as reader,
    ):
        offsets = reader.end_offsets(_topic_partitions(settings, topic))
    return {topic_partition.partition: offset for topic_partition, offset in offsets.items()}


def _by_partition(offsets: Offsets) -> dict[int, int]:
    return {topic_partition.partition: offset for topic_partition, offset in offsets.items()}


def _origin(record: Any) -> tuple[int, int] | None:
    """Return partition and offset of the raw record; None for sessions of an earlier version of the gate."""
    value = next((value for name, value in record.headers if name == topics.HEADER_ORIGIN), b"")
    partition, _, offset = value.partition(b":")
    return (int(partition), int(offset)) if partition.isdigit() and offset.isdigit() else None


def _topic_partitions(settings: KafkaSettings, topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(settings.partitions)]


def _consumer(
    settings: KafkaSettings,
    group: str | None = None,
    isolation_level: str = "read_committed",
    bootstrap_ms: int = RESPONSE_TIMEOUT_MS,
) -> KafkaConsumer:
    return create_consumer(
        settings.bootstrap_servers,
        group=group,
        isolation_level=isolation_level,
        bootstrap_timeout_ms=bootstrap_ms,
    )
