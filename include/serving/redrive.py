"""Index dead letters again: `./showroom stream redrive`, to run after the cause is repaired.

Documents are created, never replaced, and rows of kpi_minute keep their version. A document that is already in the
index, because its session was processed again meanwhile, does not change. Progress is the committed offsets of
REDRIVE_GROUP, committed after the documents are stored; a crash in between repeats idempotent writes. Brokers must
retain these offsets for longer than the dead letters: OFFSETS_RETENTION_DAYS.
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
from include.contracts.dead_letters import DOCUMENT_ERRORS, DeadLetter, Origin, StoredDeadLetter, decode
from include.contracts.errors import TransientError
from include.contracts.index_documents import TIME_FIELD, index_name
from include.contracts.settings import KafkaSettings
from include.contracts.topics import DEAD, REDRIVE_GROUP

MAX_BATCH_RECORDS = 200
POLL_MS = 500
MAX_EMPTY_POLLS = 60
REQUEST_MS = 15_000
BOOTSTRAP_MS = 3_000
RETRY_S = 60.0

Offsets = dict[TopicPartition, int]
Progress = Callable[[int], None]


@dataclass
class Summary:
    """Result counts. `rejected`: reason -> number; `indices`: index -> number of redrivable dead letters."""

    dead_letters: int = 0
    stored: int = 0
    present: int = 0
    undecodable: int = 0
    truncated: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    indices: Counter[str] = field(default_factory=Counter)

    def add(self, batch: Sequence[StoredDeadLetter]) -> list[StoredDeadLetter]:
        """Count dead letters; return those that can be redriven."""
        self.dead_letters += len(batch)
        self.undecodable += sum(stored.dead_letter.id is None for stored in batch)
        self.truncated += sum(stored.dead_letter.id is not None and stored.dead_letter.truncated for stored in batch)
        redrivable = [stored for stored in batch if stored.dead_letter.redrivable]
        self.indices.update(target_of(stored.dead_letter) for stored in redrivable)
        return redrivable


def survey(settings: KafkaSettings) -> Summary:
    """Count what a redrive would do, and change nothing. Raises TransientError while Kafka is unavailable."""
    summary = Summary()
    with _connected(settings) as consumer:
        for batch, _ in _batches(consumer, settings):
            summary.add(batch)
    return summary


def redrive(settings: KafkaSettings, client: Elasticsearch, on_progress: Progress) -> Summary:
    """Index the documents of all dead letters that were not redriven before.

    A dead letter that is rejected again is appended to its partition with the new reason, for the next redrive.

    Args:
        settings: Addresses of Kafka.
        client: Client of Elasticsearch; its index templates must exist.
        on_progress: Called with the number of dead letters processed so far.

    Returns:
        Counts by result.

    Raises:
        TransientError: Kafka or Elasticsearch is unavailable, or an index blocks writes. Offsets of
            stored documents are committed; the next call continues there.
    """
    summary = Summary()
    with _connected(settings) as consumer, _producer(settings) as producer:
        for batch, offsets in _batches(consumer, settings):
            rejected = _index(client, summary.add(batch), summary)
            _append_rejected(producer, rejected)
            consumer.commit({partition: OffsetAndMetadata(offset, "", -1) for partition, offset in offsets.items()})
            on_progress(summary.dead_letters)
    return summary


def target_of(dead_letter: DeadLetter) -> str:
    """Return the index of a dead letter's document."""
    if dead_letter.target is not None:
        return dead_letter.target
    document = msgspec.json.decode(dead_letter.document)
    return index_name(dead_letter.index, _instant(document[TIME_FIELD[dead_letter.index]]), _arrival(document))


def action_of(dead_letter: DeadLetter) -> dict[str, Any]:
    """Return the bulk action that indexes a dead letter's document without replacing a later state."""
    identity = {"_index": target_of(dead_letter), "_id": dead_letter.id}
    if dead_letter.index == "kpi_minute":
        sessions = msgspec.json.decode(dead_letter.document)["sessions"]
        return {"index": {**identity, "version_type": "external_gte", "version": sessions}}
    return {"create": identity}


def _index(
    client: Elasticsearch, dead_letters: Sequence[StoredDeadLetter], summary: Summary
) -> list[tuple[StoredDeadLetter, str]]:
    """Store documents with retries; return the dead letters that are rejected again, with the reason."""
    pending = list(dead_letters)
    rejected: list[tuple[StoredDeadLetter, str]] = []

    def attempt() -> None:
        results = _bulk(client, [stored.dead_letter for stored in pending])
        delayed: list[StoredDeadLetter] = []
        reason = ""
        for stored, result in zip(tuple(pending), results, strict=True):
            error = result.get("error") or {}
            if error.get("type") == "version_conflict_engine_exception":
                summary.present += 1
            elif result["status"] < HTTPStatus.MULTIPLE_CHOICES:
                summary.stored += 1
            elif error.get("type") in DOCUMENT_ERRORS:
                text = f"{result['status']} {error['type']}: {error.get('reason')}"
                summary.rejected[error["type"]] += 1
                rejected.append((stored, text))
            else:
                reason = f"{result['status']} {error.get('type')}: {error.get('reason')}"
                delayed.append(stored)
        pending[:] = delayed
        if delayed:
            raise TransientError(f"redrive failed: {reason}", "repair the index, then run it again: it continues")

    if pending:
        with_retries(attempt, wait=wait_exponential(0.2, max=5.0), deadline_s=RETRY_S)
    return rejected


def _bulk(client: Elasticsearch, dead_letters: Iterable[DeadLetter]) -> list[dict[str, Any]]:
    lines: list[Any] = []
    for dead_letter in dead_letters:
        lines += [msgspec.json.encode(action_of(dead_letter)), dead_letter.document.encode()]
    with elasticsearch.translate_errors("redrive"):
        response = client.bulk(operations=lines)
    return [next(iter(item.values())) for item in response["items"]]


def _batches(consumer: KafkaConsumer, settings: KafkaSettings) -> Iterator[tuple[list[StoredDeadLetter], Offsets]]:
    """Yield dead letters that were not redriven before, up to the current ends; each batch with its end offsets."""
    partitions = _dead_letter_partitions(settings)
    begins, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
    consumer.assign(partitions)
    for partition in partitions:
        redriven = consumer.committed(partition, timeout_ms=REQUEST_MS) or 0
        # An offset beyond the end belongs to an earlier topic of this name: nothing of this topic was redriven.
        consumer.seek(partition, redriven if begins[partition] <= redriven <= ends[partition] else begins[partition])
    empty = 0
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        polled = consumer.poll(timeout_ms=POLL_MS, max_records=MAX_BATCH_RECORDS)
        empty = 0 if polled else empty + 1
        if empty > MAX_EMPTY_POLLS:
            raise TransientError(f"{DEAD} cannot be read to its end", "check Kafka with ./showroom status")
        # Records beyond the ends are dead letters that this run wrote.
        batch = [
            StoredDeadLetter(record.partition, record.offset, decode(record.value) or _undecodable(record))
            for partition, records in polled.items()
            for record in records
            if record.offset < ends[partition]
        ]
        if polled:
            yield batch, {partition: min(consumer.position(partition), ends[partition]) for partition in partitions}


def _undecodable(record: Any) -> DeadLetter:
    origin = Origin(topic=DEAD, partition=record.partition, offset=record.offset)
    return DeadLetter(
        index="", id=None, reason="the record is not a dead letter", document="", truncated=False, origin=origin
    )


@contextmanager
def _connected(settings: KafkaSettings) -> Iterator[KafkaConsumer]:
    with kafka.translate_errors("redrive", settings.bootstrap_servers):
        consumer = kafka.create_consumer(
            settings.bootstrap_servers,
            group=REDRIVE_GROUP,
            isolation_level="read_uncommitted",
            bootstrap_timeout_ms=BOOTSTRAP_MS,
        )
        try:
            yield consumer
        finally:
            consumer.close()


@contextmanager
def _producer(settings: KafkaSettings) -> Iterator[KafkaProducer]:
    producer = kafka.create_producer(settings.bootstrap_servers, bootstrap_timeout_ms=BOOTSTRAP_MS)
    try:
        yield producer
    finally:
        producer.close(timeout=REQUEST_MS / 1_000)


def _append_rejected(producer: KafkaProducer, rejected: Iterable[tuple[StoredDeadLetter, str]]) -> None:
    """Append rejected dead letters and wait for their acknowledgement, which must precede the commit."""
    sent = [
        producer.send(
            DEAD,
            value=msgspec.json.encode(msgspec.structs.replace(stored.dead_letter, reason=reason)),
            partition=stored.partition,
        )
        for stored, reason in rejected
    ]
    for future in sent:
        future.get(timeout=REQUEST_MS / 1_000)


def _dead_letter_partitions(settings: KafkaSettings) -> list[TopicPartition]:
    return [TopicPartition(DEAD, partition) for partition in range(settings.partitions)]


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _arrival(document: Mapping[str, Any]) -> datetime | None:
    """Return the session's arrival time; None if the document has none."""
    text = document.get("received_at") or document.get("arrival_date")
    return None if text is None else datetime.fromisoformat(text)
