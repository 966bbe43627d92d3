"""Dead letters back into the indices: what `./showroom stream redrive` does once the cause is repaired.

Documents are created, never replaced, and rows of kpi_minute keep their version: a document that is in the index
already, because its session was read again meanwhile, stays as it is. Progress is the committed offsets of
REDRIVE_GROUP, written once the documents are stored; a crash in between repeats only what changes nothing. Brokers must
keep these offsets for longer than the letters: OFFSETS_RETENTION_DAYS.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import msgspec
from elasticsearch import Elasticsearch
from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from tenacity import wait_exponential

from include.clients import elasticsearch, kafka
from include.clients.errors import with_retries
from include.contracts.documents import TIME_FIELD, index_name
from include.contracts.errors import TransientError
from include.contracts.letters import DOCUMENT_ERRORS, DeadLetter, Origin, PlacedLetter, decode
from include.contracts.settings import Settings
from include.contracts.topics import DEAD, REDRIVE_GROUP

LETTERS_PER_BATCH = 200
POLL_MS = 500
MAX_EMPTY_POLLS = 60
REQUEST_MS = 15_000
BOOTSTRAP_MS = 3_000
RETRY_S = 60.0

Offsets = dict[TopicPartition, int]
Progress = Callable[[int], None]


@dataclass
class Summary:
    """What became of the letters. `refused`: reason -> number, `indices`: index -> letters that can be redriven."""

    letters: int = 0
    stored: int = 0
    present: int = 0
    undecodable: int = 0
    truncated: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    indices: Counter[str] = field(default_factory=Counter)

    def add(self, batch: Sequence[PlacedLetter]) -> list[PlacedLetter]:
        """Count letters; returns those that can be redriven."""
        self.letters += len(batch)
        self.undecodable += sum(each.letter.id is None for each in batch)
        self.truncated += sum(each.letter.id is not None and each.letter.truncated for each in batch)
        redrivable = [each for each in batch if each.letter.redrivable]
        self.indices.update(target_of(each.letter) for each in redrivable)
        return redrivable


def survey(settings: Settings) -> Summary:
    """Count what a redrive would do, and change nothing. Raises TransientError while Kafka is unavailable."""
    summary = Summary()
    with _connected(settings) as consumer:
        for batch, _ in _batches(consumer, settings):
            summary.add(batch)
    return summary


def redrive(settings: Settings, client: Elasticsearch, on_progress: Progress) -> Summary:
    """Index the documents of all letters that were not redriven before.

    A letter that is refused again is written to the end of its partition, with the new reason, for the next redrive.

    Args:
        settings: Where Kafka is.
        client: The Elasticsearch to write to. Its templates must be there.
        on_progress: Called with the number of letters passed so far.

    Returns:
        What became of the letters.

    Raises:
        TransientError: Kafka or Elasticsearch is unavailable, or an index takes no documents. What was stored before is
            recorded; the next call continues there.
    """
    summary = Summary()
    with _connected(settings) as consumer, _producer(settings) as producer:
        for batch, behind in _batches(consumer, settings):
            refused = _index(client, summary.add(batch), summary)
            _write_again(producer, refused)
            consumer.commit({place: OffsetAndMetadata(offset, "", -1) for place, offset in behind.items()})
            on_progress(summary.letters)
    return summary


def target_of(letter: DeadLetter) -> str:
    """Return the index that a letter's document belongs to."""
    if letter.target is not None:
        return letter.target
    document = msgspec.json.decode(letter.document)
    return index_name(letter.index, _instant(document[TIME_FIELD[letter.index]]), _arrival(document))


def action_of(letter: DeadLetter) -> dict[str, Any]:
    """Return the bulk action that puts a letter's document into its index without replacing a later state."""
    identity = {"_index": target_of(letter), "_id": letter.id}
    if letter.index == "kpi_minute":
        sessions = msgspec.json.decode(letter.document)["sessions"]
        return {"index": {**identity, "version_type": "external_gte", "version": sessions}}
    return {"create": identity}


def _index(client: Elasticsearch, letters: Sequence[PlacedLetter], summary: Summary) -> list[tuple[PlacedLetter, str]]:
    """Store documents; returns the letters that are refused again, with the reason. Retries what an index delays."""
    waiting = list(letters)
    refused: list[tuple[PlacedLetter, str]] = []

    def attempt() -> None:
        results = _bulk(client, [each.letter for each in waiting])
        delayed: list[PlacedLetter] = []
        reason = ""
        for each, result in zip(tuple(waiting), results, strict=True):
            error = result.get("error") or {}
            if error.get("type") == "version_conflict_engine_exception":
                summary.present += 1
            elif result["status"] < HTTPStatus.MULTIPLE_CHOICES:
                summary.stored += 1
            elif error.get("type") in DOCUMENT_ERRORS:
                text = f"{result['status']} {error['type']}: {error.get('reason')}"
                summary.refused[error["type"]] += 1
                refused.append((each, text))
            else:
                reason = f"{result['status']} {error.get('type')}: {error.get('reason')}"
                delayed.append(each)
        waiting[:] = delayed
        if delayed:
            raise TransientError(f"redrive failed: {reason}", "repair the index, then run it again: it continues")

    if waiting:
        with_retries(attempt, wait=wait_exponential(0.2, max=5.0), deadline_s=RETRY_S)
    return refused


def _bulk(client: Elasticsearch, letters: Iterable[DeadLetter]) -> list[dict[str, Any]]:
    lines: list[Any] = []
    for letter in letters:
        lines += [msgspec.json.encode(action_of(letter)), letter.document.encode()]
    with elasticsearch.translate_errors("redrive"):
        answer = client.bulk(operations=lines)
    return [next(iter(item.values())) for item in answer["items"]]


def _batches(consumer: KafkaConsumer, settings: Settings) -> Iterator[tuple[list[PlacedLetter], Offsets]]:
    """Letters that were not redriven before, to the ends of now, each batch with the offsets behind it."""
    places = _places(settings)
    begins, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
    consumer.assign(places)
    for place in places:
        redriven = consumer.committed(place, timeout_ms=REQUEST_MS) or 0
        # An offset behind the end is of an earlier topic of this name: nothing of this one was redriven.
        consumer.seek(place, redriven if begins[place] <= redriven <= ends[place] else begins[place])
    empty = 0
    while any(consumer.position(place) < ends[place] for place in places):
        polled = consumer.poll(timeout_ms=POLL_MS, max_records=LETTERS_PER_BATCH)
        empty = 0 if polled else empty + 1
        if empty > MAX_EMPTY_POLLS:
            raise TransientError(f"{DEAD} cannot be read to its end", "see that Kafka runs: ./showroom status")
        # Records behind the ends are letters of this very run.
        batch = [
            PlacedLetter(record.partition, record.offset, decode(record.value) or _not_a_letter(record))
            for place, records in polled.items()
            for record in records
            if record.offset < ends[place]
        ]
        if polled:
            yield batch, {place: min(consumer.position(place), ends[place]) for place in places}


def _not_a_letter(record: Any) -> DeadLetter:
    origin = Origin(topic=DEAD, partition=record.partition, offset=record.offset)
    return DeadLetter(index="", id=None, reason="the record is no letter", document="", truncated=False, origin=origin)


@contextmanager
def _connected(settings: Settings) -> Iterator[KafkaConsumer]:
    with kafka.translate_errors("redrive", settings.kafka_bootstrap):
        consumer = kafka.create_consumer(
            settings.kafka_bootstrap,
            group=REDRIVE_GROUP,
            isolation_level="read_uncommitted",
            bootstrap_timeout_ms=BOOTSTRAP_MS,
        )
        try:
            yield consumer
        finally:
            consumer.close()


@contextmanager
def _producer(settings: Settings) -> Iterator[KafkaProducer]:
    producer = kafka.create_producer(settings.kafka_bootstrap, bootstrap_timeout_ms=BOOTSTRAP_MS)
    try:
        yield producer
    finally:
        producer.close(timeout=REQUEST_MS / 1_000)


def _write_again(producer: KafkaProducer, refused: Iterable[tuple[PlacedLetter, str]]) -> None:
    """Put refused letters behind the ends, and wait until they are acknowledged: only then may offsets pass them."""
    sent = [
        producer.send(
            DEAD,
            value=msgspec.json.encode(msgspec.structs.replace(each.letter, reason=reason)),
            partition=each.partition,
        )
        for each, reason in refused
    ]
    for future in sent:
        future.get(timeout=REQUEST_MS / 1_000)


def _places(settings: Settings) -> list[TopicPartition]:
    return [TopicPartition(DEAD, partition) for partition in range(settings.partitions)]


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _arrival(document: Mapping[str, Any]) -> datetime | None:
    """When the session arrived, where the document has it."""
    text = document.get("received_at") or document.get("received_day")
    return None if text is None else datetime.fromisoformat(text)
