"""Redrive of dead letters on a real Kafka and a real Elasticsearch."""

from collections.abc import Iterator

import msgspec
import pytest
from elasticsearch import Elasticsearch
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from include.clients.elasticsearch import connect
from include.contracts.dead_letters import DeadLetter, Origin, StoredDeadLetter, decode
from include.contracts.errors import TransientError
from include.contracts.index_documents import INDICES
from include.contracts.settings import Settings
from include.contracts.topics import DEAD, REDRIVE_GROUP
from include.serving import queries
from include.serving import redrive as module
from include.serving.redrive import Summary, redrive, survey
from include.serving.templates import ensure_templates
from local.stack import Stack

MONTH = "2043.02"
INDEX = f"product_sentiment-{MONTH}"
STARTED = "2043-02-03T04:05:06Z"


def dead_letter(number: int, text: str, *, index: str = "product_sentiment", **more: object) -> DeadLetter:
    fields = {"id": f"redrive-{number}", "target": f"{index}-{MONTH}", "truncated": False, "reason": "400 why"} | more
    origin = Origin(topic="sessions.valid", partition=0, offset=number)
    return msgspec.convert({"index": index, "document": text, "origin": origin, **fields}, DeadLetter)


def review(number: int, score: object = 0.5, *, label: str = "positive") -> str:
    fields = {"session_id": f"redrive-{number}", "started_at": STARTED, "label": label, "score": score}
    return msgspec.json.encode(fields).decode()


def minute(sessions: int) -> str:
    return msgspec.json.encode({"minute": STARTED, "arrival_date": "2043-02-03", "sessions": sessions}).decode()


class DeadLetters:
    """Dead letters in `documents.dead` since the test began."""

    def __init__(self, settings: Settings, client: Elasticsearch) -> None:
        self.settings, self.client = settings, client
        self.producer = KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers)
        self.reader = KafkaConsumer(
            bootstrap_servers=settings.kafka.bootstrap_servers, group_id=REDRIVE_GROUP, enable_auto_commit=False
        )
        self.partitions = [TopicPartition(DEAD, number) for number in range(settings.kafka.partitions)]
        self.reader.assign(self.partitions)
        self.reader.seek_to_end(*self.partitions)
        self.starts = {topic_partition: self.reader.position(topic_partition) for topic_partition in self.partitions}
        # Ignore the dead letters of other tests.
        self.reader.commit()

    def put(self, *dead_letters: DeadLetter) -> None:
        for record in dead_letters:
            partition = record.origin.offset % self.settings.kafka.partitions
            self.producer.send(DEAD, value=msgspec.json.encode(record), partition=partition).get(timeout=30)

    def redrive(self) -> Summary:
        return redrive(self.settings.kafka, self.client, lambda _: None)

    def dead(self) -> set[str | None]:
        for topic_partition, start in self.starts.items():
            self.reader.seek(topic_partition, start)
        ends = self.reader.end_offsets(self.partitions)
        results: list[StoredDeadLetter] = []
        while any(self.reader.position(topic_partition) < ends[topic_partition] for topic_partition in self.partitions):
            for records in self.reader.poll(timeout_ms=200).values():
                results += [
                    StoredDeadLetter(record.partition, record.offset, result)
                    for record in records
                    if (result := decode(record.value))
                ]
        redriven = {
            topic_partition.partition: self.reader.committed(topic_partition) or 0
            for topic_partition in self.partitions
        }
        return {
            stored.dead_letter.id
            for stored in results
            if not stored.dead_letter.redrivable or stored.offset >= redriven[stored.partition]
        }

    def scores(self) -> dict[str, object]:
        hits = queries.documents(self.client, "product_sentiment", [f"redrive-{number}" for number in range(10)])
        return {identity: document["score"] for identity, document in hits.items()}


@pytest.fixture
def dead_letters(stack: Stack) -> Iterator[DeadLetters]:
    with connect(stack.settings.elasticsearch) as client:
        ensure_templates(client, stack.settings.elasticsearch)
        fixture = DeadLetters(stack.settings, client)
        yield fixture
        fixture.producer.close()
        fixture.reader.close()
        client.indices.delete(index=[f"{alias}-{MONTH}" for alias in INDICES], ignore_unavailable=True)


def test_redrive_after_repair_indexes_each_dead_letter_once(dead_letters: DeadLetters) -> None:
    dead_letters.client.index(index=INDEX, id="redrive-2", document={"session_id": "redrive-2", "score": 0.9})
    dead_letters.client.index(
        index=f"kpi_minute-{MONTH}", id="redrive-6", document={"sessions": 5}, version=5, version_type="external"
    )
    dead_letters.put(
        dead_letter(1, review(1)),
        dead_letter(1, review(1)),
        dead_letter(2, review(2, 0.1)),
        dead_letter(3, review(3), target=None),
        dead_letter(4, "{", id=None),
        dead_letter(5, review(5)[:20], truncated=True),
        dead_letter(6, minute(3), index="kpi_minute"),
        dead_letter(7, minute(4), index="kpi_minute"),
    )
    for value in (b"not JSON", b"{}", b"\xff", None):
        dead_letters.producer.send(DEAD, key=b"any", value=value, partition=0).get(timeout=30)
    counted = survey(dead_letters.settings.kafka)
    assert (counted.dead_letters, counted.undecodable, counted.truncated) == (12, 5, 1)
    assert counted.indices == {INDEX: 4, f"kpi_minute-{MONTH}": 2}
    queries.refresh(dead_letters.client)
    assert dead_letters.scores() == {"redrive-2": 0.9}, "a survey changes nothing"
    assert dead_letters.dead() == {*(f"redrive-{number}" for number in (1, 2, 3, 5, 6, 7)), None}

    done = dead_letters.redrive()
    queries.refresh(dead_letters.client)
    assert (done.dead_letters, done.stored, done.present, done.rejected) == (12, 3, 3, {})
    # Existing documents are not replaced.
    assert dead_letters.scores() == {"redrive-1": 0.5, "redrive-2": 0.9, "redrive-3": 0.5}
    assert dead_letters.client.get(index=f"kpi_minute-{MONTH}", id="redrive-6")["_source"]["sessions"] == 5
    assert dead_letters.dead() == {"redrive-5", None}
    assert dead_letters.redrive().dead_letters == 0


def test_redrive_rejected_again_is_retained_for_the_next_run(dead_letters: DeadLetters) -> None:
    dead_letters.client.indices.create(index=INDEX, mappings={"properties": {"label": {"type": "date"}}})
    dead_letters.put(dead_letter(1, review(1)), dead_letter(2, review(2, label="2043-01-01")))
    first = dead_letters.redrive()
    assert (first.stored, first.rejected) == (1, {"document_parsing_exception": 1})
    assert dead_letters.dead() == {"redrive-1"}

    dead_letters.client.indices.delete(index=INDEX)
    again = dead_letters.redrive()
    assert (again.dead_letters, again.stored) == (1, 1)
    assert dead_letters.dead() == set()


def test_redrive_blocked_index_does_not_commit_offsets(
    dead_letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.5)
    dead_letters.client.indices.create(index=INDEX, settings={"index.blocks.write": True})
    dead_letters.put(dead_letter(1, review(1)))
    with pytest.raises(TransientError, match="cluster_block_exception"):
        dead_letters.redrive()
    assert dead_letters.dead() == {"redrive-1"}
    dead_letters.client.indices.put_settings(index=INDEX, settings={"index.blocks.write": None})
    assert dead_letters.redrive().stored == 1


def test_redrive_killed_before_commit_repeats_idempotently(
    dead_letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead_letters.put(dead_letter(1, review(1)))
    with monkeypatch.context() as crashing:
        crashing.setattr(KafkaConsumer, "commit", _raise_killed)
        with pytest.raises(RuntimeError, match="killed"):
            dead_letters.redrive()
    assert dead_letters.dead() == {"redrive-1"}
    # The stream indexed the session again meanwhile; its newer state must not change.
    dead_letters.client.index(
        index=INDEX, id="redrive-1", document={"session_id": "redrive-1", "score": 0.7}, refresh=True
    )
    done = dead_letters.redrive()
    assert (done.stored, done.present) == (0, 1)
    assert dead_letters.scores() == {"redrive-1": 0.7}
    assert dead_letters.dead() == set()


def test_redrive_offsets_are_retained_longer_than_dead_letters(dead_letters: DeadLetters) -> None:
    admin = KafkaAdminClient(bootstrap_servers=dead_letters.settings.kafka.bootstrap_servers)
    try:
        names = [(ConfigResourceType.TOPIC, DEAD), (ConfigResourceType.BROKER, "1")]
        described = admin.describe_configs([ConfigResource(*name) for name in names], config_filter="all")
    finally:
        admin.close()
    topic, broker = described["topic"][DEAD], described["broker"]["1"]
    # Kafka retains a record until its segment is closed, and then for the retention.
    max_retention_ms = int(topic["retention.ms"]["value"]) + int(topic["segment.ms"]["value"])
    assert int(broker["offsets.retention.minutes"]["value"]) * 60_000 > max_retention_ms


def test_survey_recreated_topic_counts_its_dead_letters(dead_letters: DeadLetters) -> None:
    dead_letters.put(dead_letter(1, review(1)))
    assert survey(dead_letters.settings.kafka).dead_letters == 1
    # Offsets of an earlier topic of this name exceed the ends of this one.
    ends = dead_letters.reader.end_offsets(dead_letters.partitions)
    dead_letters.reader.commit(
        {topic_partition: OffsetAndMetadata(end + 5, "", -1) for topic_partition, end in ends.items()}
    )
    assert survey(dead_letters.settings.kafka).dead_letters >= 1


def test_redrive_without_kafka_raises_transient_error(
    dead_letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REQUEST_MS", 500)
    unavailable = dead_letters.settings.replace(kafka={"bootstrap_servers": "127.0.0.1:9"})
    with pytest.raises(TransientError, match=r"Kafka at .* is unavailable"):
        survey(unavailable.kafka)


def _raise_killed(*_: object, **__: object) -> None:
    raise RuntimeError("killed")
