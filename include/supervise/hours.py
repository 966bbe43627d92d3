"""What Kafka holds of one span of broker time, in bounded memory but for the ids of `valid`."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from include.contracts import topics
from include.contracts.errors import TransientError
from include.contracts.letters import DeadLetter
from include.contracts.settings import Settings

POLL_MS = 1_000
ANSWER_MS = 10_000
EMPTY_POLLS = 30
SUMMARY = "session_summary"
_RECEIVED = re.compile(r'"received_at":\s*"([^"]+)"')

Offsets = dict[TopicPartition, int]


class _Valid(msgspec.Struct):
    user_id: str
    session_id: str
    received_at: datetime


class Hours:
    """Reads the topics for [start, end). Every method raises TransientError while Kafka is away."""

    def __init__(self, settings: Settings, start: datetime, end: datetime) -> None:
        self._settings, self._start, self._end = settings, start, end

    def __enter__(self) -> Self:
        try:
            self._consumer = _consumer(self._settings)
            self._from = self._at(topics.RAW, self._start)
            self._until = self._at(topics.RAW, self._end)
        except KafkaError as error:
            raise _away(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()
        if isinstance(error, KafkaError):
            raise _away(error) from error

    def raw(self) -> int:
        """Records that reached `sessions.raw`."""
        return sum(self._until[place] - self._from[place] for place in self._from)

    def undecided(self) -> int:
        """Of them, those the gate has not decided."""
        done = self._committed(topics.GATE_GROUP, topics.RAW)
        return sum(max(0, self._until[place] - max(done[place], self._from[place])) for place in self._from)

    def rejected(self) -> dict[str, int]:
        """Of them, those the gate refused, by reason."""
        found: Counter[str] = Counter()
        for record in self._read(topics.REJECTED):
            headers = {name: value.decode() for name, value in record.headers}
            place = TopicPartition(headers.get(topics.HEADER_TOPIC), int(headers.get(topics.HEADER_PARTITION, -1)))
            offset = int(headers.get(topics.HEADER_OFFSET, -1))
            if place in self._from and self._from[place] <= offset < self._until[place]:
                found[headers.get(topics.HEADER_REASON, "")] += 1
        return dict(found)

    def valid(self) -> int:
        """Distinct sessions admitted of them. A session_id is unique for one user only."""
        ids: set[tuple[str, str]] = set()
        for record in self._read(topics.VALID):
            try:
                session = msgspec.json.decode(record.value, type=_Valid)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            if self._start <= session.received_at < self._end:
                ids.add((session.user_id, session.session_id))
        return len(ids)

    def dead(self) -> int:
        """Sessions of them whose summary Elasticsearch refused; a letter may have come more than once."""
        ids: set[str] = set()
        for record in self._read(topics.DEAD):
            letter = msgspec.json.decode(record.value, type=DeadLetter)
            found = _RECEIVED.search(letter.document)
            if letter.index.startswith(SUMMARY) and letter.id and found and self._holds(found[1]):
                ids.add(letter.id)
        return len(ids)

    def stream_lag(self) -> int:
        """Valid records not yet covered by a checkpoint."""
        places = self._places(topics.VALID)
        ends, done = self._consumer.end_offsets(places), self._committed(topics.STREAM_GROUP, topics.VALID)
        return sum(max(0, ends[place] - done[place]) for place in places)

    def _holds(self, instant: str) -> bool:
        try:
            at = datetime.fromisoformat(instant)
        except ValueError:
            return False
        return self._start <= (at if at.tzinfo else at.replace(tzinfo=UTC)) < self._end

    def _places(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(self._settings.partitions)]

    def _at(self, topic: str, instant: datetime) -> Offsets:
        places = self._places(topic)
        found = self._consumer.offsets_for_times(dict.fromkeys(places, int(instant.timestamp() * 1_000)))
        ends = self._consumer.end_offsets(places)
        return {place: found[place].offset if found.get(place) else ends[place] for place in places}

    def _committed(self, group: str, topic: str) -> Offsets:
        places = self._places(topic)
        begins = self._consumer.beginning_offsets(places)
        with _consumer(self._settings, group) as reader:
            known = {place: reader.committed(place, timeout_ms=ANSWER_MS) for place in places}
        return {place: max(begins[place], known[place] or 0) for place in places}

    def _read(self, topic: str) -> Iterator[Any]:
        """Committed records of a topic that came since the start of the span, to its end now."""
        begin, places = self._at(topic, self._start), self._places(topic)
        ends = self._consumer.end_offsets(places)
        self._consumer.assign(places)
        for place in places:
            self._consumer.seek(place, begin[place])
        idle = 0
        while any(self._consumer.position(place) < ends[place] for place in places):
            polled = self._consumer.poll(timeout_ms=POLL_MS)
            idle = 0 if polled else idle + 1
            if idle > EMPTY_POLLS:
                raise TransientError(f"{topic} cannot be read to its end", "see that Kafka runs: ./showroom status")
            for records in polled.values():
                yield from records


def _away(error: KafkaError) -> TransientError:
    return TransientError(f"Kafka does not answer ({type(error).__name__})", "see that it runs: ./showroom status")


def _consumer(settings: Settings, group: str | None = None) -> KafkaConsumer:
    return KafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap.split(","),
        group_id=group,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
        max_partition_fetch_bytes=topics.MAX_MESSAGE_BYTES,
        bootstrap_timeout_ms=ANSWER_MS,
        metrics_enabled=False,
    )
