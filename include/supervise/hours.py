"""What Kafka holds of one span of broker time, in bounded memory."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from include.clients.kafka import create_consumer, raise_translated, translate_errors
from include.contracts import letters, topics
from include.contracts.errors import TransientError
from include.contracts.settings import Settings
from include.supervise.admitted import AdmittedSession, SessionKey, decode
from include.supervise.origins import Origins
from include.supervise.reconcile import BY_SESSION, Evidence, Rows

POLL_MS = 1_000
POLL_RECORDS = 5_000
ANSWER_MS = 10_000
EMPTY_POLLS = 60
CLOCK_STEP = timedelta(minutes=1)
"""How far the broker's clock may step back: arrival times of a partition otherwise only rise."""
_FIELD = r'"{}":\s*"([^"]+)"'
_SESSION, _USER, _RECEIVED = (re.compile(_FIELD.format(name)) for name in ("session_id", "user_id", "received_at"))

Offsets = dict[TopicPartition, int]


class Hours:
    """Reads the topics for [start, end). Every method raises TransientError while Kafka is away."""

    def __init__(self, settings: Settings, start: datetime, end: datetime, bootstrap_ms: int = ANSWER_MS) -> None:
        self._settings, self._start, self._end, self._bootstrap_ms = settings, start, end, bootstrap_ms

    def __enter__(self) -> Self:
        with translate_errors("read of the hours", self._settings.kafka_bootstrap):
            self._consumer = _consumer(self._settings, bootstrap_ms=self._bootstrap_ms)
            self._from = self._at(topics.RAW, self._start)
            self._until = self._at(topics.RAW, self._end)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()
        if isinstance(error, KafkaError):
            raise_translated(error, "read of the hours", self._settings.kafka_bootstrap)

    def raw(self) -> int:
        """Offsets of `sessions.raw`: its records, and what the transactions of its producers take."""
        return sum(self._until[place] - self._from[place] for place in self._from)

    def undecided(self) -> int:
        """Of them, those the gate has not decided."""
        done = committed(self._settings, topics.GATE_GROUP, topics.RAW)
        return sum(max(0, self._until[place] - max(done[place.partition], self._from[place])) for place in self._from)

    def evidence(self) -> Evidence:
        """Count rejected and admitted records of the hour, once `undecided` was 0.

        Reads up to the ends of now, open transactions included: those of the gate hold its decisions, and the
        coordinator may publish their offsets a moment before it publishes their records. Offsets without a decision
        are read in `sessions.raw`: markers and aborted records are no lost records.
        """
        ends = {topic: end_offsets(self._settings, topic) for topic in (topics.REJECTED, topics.VALID)}
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
        """The admitted sessions of the hour, once more."""
        for _, session in self._sessions(end_offsets(self._settings, topics.VALID)):
            yield session

    def dead(self) -> dict[str, dict[SessionKey, int]]:
        """Index -> session -> documents of it that became dead letters; a letter may have come more than once."""
        ids: dict[str, defaultdict[SessionKey, set[str]]] = {index: defaultdict(set) for index in BY_SESSION}
        for record in self._read(topics.DEAD, end_offsets(self._settings, topics.DEAD), lambda _: False):
            letter = letters.decode(record.value)
            if letter is None:
                continue
            index = next((name for name in BY_SESSION if letter.index.startswith(name)), None)
            session, user = _SESSION.search(letter.document), _USER.search(letter.document)
            received = _RECEIVED.search(letter.document)
            if index and letter.id and session and user and (received is None or self._holds(received[1])):
                ids[index][SessionKey(user[1], session[1])].add(letter.id)
        return {index: {key: len(found) for key, found in by_key.items()} for index, by_key in ids.items()}

    def _undecided_records(self, origins: Origins) -> int:
        """Raw records whose origin no decision names; those of an earlier gate's sessions are among them."""
        ends = _by_partition(self._from) | origins.undecided_ends()
        return sum(
            not origins.has(record.partition, record.offset) for record in self._read(topics.RAW, ends, lambda _: False)
        )

    def _rejected(self, ends: dict[int, int], origins: Origins) -> dict[str, int]:
        found: Counter[str] = Counter()

        def origin(record: Any) -> tuple[TopicPartition, int, str]:
            headers = {name: value.decode() for name, value in record.headers}
            place = TopicPartition(headers.get(topics.HEADER_TOPIC), int(headers.get(topics.HEADER_PARTITION, -1)))
            return place, int(headers.get(topics.HEADER_OFFSET, -1)), headers.get(topics.HEADER_REASON, "")

        def is_later(record: Any) -> bool:
            # The gate writes to the partition that it reads, in the order of reading.
            place, offset, _ = origin(record)
            return bool(place.partition == record.partition and offset >= self._until.get(place, offset + 1))

        for record in self._read(topics.REJECTED, ends, is_later):
            place, offset, reason = origin(record)
            if place in self._from and self._from[place] <= offset < self._until[place]:
                found[reason] += 1
                origins.add(place.partition, offset)
        return dict(found)

    def _sessions(self, ends: dict[int, int]) -> Iterator[tuple[Any, AdmittedSession]]:
        past = self._end + CLOCK_STEP
        decoded: AdmittedSession | None = None

        def is_later(record: Any) -> bool:
            nonlocal decoded
            decoded = decode(record.value)
            return decoded is not None and decoded.received_at >= past

        for record in self._read(topics.VALID, ends, is_later):
            if decoded is not None and self._start <= decoded.received_at < self._end:
                yield record, decoded

    def _holds(self, instant: str) -> bool:
        try:
            at = datetime.fromisoformat(instant)
        except ValueError:
            return False
        return self._start <= (at if at.tzinfo else at.replace(tzinfo=UTC)) < self._end

    def _at(self, topic: str, instant: datetime) -> Offsets:
        places = _places(self._settings, topic)
        found = self._consumer.offsets_for_times(dict.fromkeys(places, int(instant.timestamp() * 1_000)))
        ends = self._consumer.end_offsets(places)
        return {place: found[place].offset if found.get(place) else ends[place] for place in places}

    def _read(self, topic: str, ends: dict[int, int], is_later: Callable[[Any], bool]) -> Iterator[Any]:
        """Committed records since the start of the span, of each partition to its end or the first later one."""
        begin = self._at(topic, self._start)
        unread = {place for place, offset in begin.items() if offset < ends[place.partition]}
        self._consumer.assign(sorted(unread))
        for place in unread:
            self._consumer.seek(place, begin[place])
        idle = 0
        while unread:
            polled = self._consumer.poll(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
            idle = 0 if polled else idle + 1
            if idle > EMPTY_POLLS:
                raise TransientError(f"{topic} cannot be read to its end", "see that Kafka runs: ./showroom status")
            done: set[TopicPartition] = set()
            for place, records in polled.items():
                for record in records:
                    if record.offset >= ends[place.partition] or is_later(record):
                        done.add(place)
                        break
                    yield record
            done |= {place for place in unread if self._consumer.position(place) >= ends[place.partition]}
            unread -= done
            if unread and done:
                self._consumer.pause(*done)


def oldest_raw(settings: Settings) -> datetime | None:
    """The arrival of the oldest raw record; None where there is none. Raises TransientError while Kafka is away."""
    with translate_errors("read of the oldest record", settings.kafka_bootstrap), _consumer(settings) as consumer:
        found = consumer.offsets_for_times(dict.fromkeys(_places(settings, topics.RAW), 0))
    arrivals = [entry.timestamp for entry in found.values() if entry is not None]
    return datetime.fromtimestamp(min(arrivals) / 1_000, UTC) if arrivals else None


def committed(settings: Settings, group: str, topic: str, bootstrap_ms: int = ANSWER_MS) -> dict[int, int]:
    """Partition -> the offset a group has committed. Raises TransientError while Kafka is away."""
    places = _places(settings, topic)
    with (
        translate_errors(f"committed offsets of {group}", settings.kafka_bootstrap),
        _consumer(settings, group, bootstrap_ms=bootstrap_ms) as reader,
    ):
        begins = reader.beginning_offsets(places)
        known = {place: reader.committed(place, timeout_ms=ANSWER_MS) for place in places}
    return {place.partition: max(begins[place], known[place] or 0) for place in places}


def end_offsets(settings: Settings, topic: str, bootstrap_ms: int = ANSWER_MS) -> dict[int, int]:
    """Partition -> the offset behind its last record, committed or not. Raises TransientError while Kafka is away."""
    with (
        translate_errors(f"end offsets of {topic}", settings.kafka_bootstrap),
        _consumer(settings, isolation_level="read_uncommitted", bootstrap_ms=bootstrap_ms) as reader,
    ):
        found = reader.end_offsets(_places(settings, topic))
    return {place.partition: offset for place, offset in found.items()}


def _by_partition(offsets: Offsets) -> dict[int, int]:
    return {place.partition: offset for place, offset in offsets.items()}


def _origin(record: Any) -> tuple[int, int] | None:
    """Partition and offset of the raw record; None for sessions of an earlier gate."""
    value = next((value for name, value in record.headers if name == topics.HEADER_ORIGIN), b"")
    partition, _, offset = value.partition(b":")
    return (int(partition), int(offset)) if partition.isdigit() and offset.isdigit() else None


def _places(settings: Settings, topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(settings.partitions)]


def _consumer(
    settings: Settings,
    group: str | None = None,
    isolation_level: str = "read_committed",
    bootstrap_ms: int = ANSWER_MS,
) -> KafkaConsumer:
    return create_consumer(
        settings.kafka_bootstrap, group=group, isolation_level=isolation_level, bootstrap_timeout_ms=bootstrap_ms
    )
