"""Dead letters back into the indices, on a real Kafka and a real Elasticsearch."""

from collections.abc import Iterator

import msgspec
import pytest
from elasticsearch import Elasticsearch
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from include.clients.elasticsearch import connect
from include.contracts.documents import INDICES
from include.contracts.errors import TransientError
from include.contracts.letters import DeadLetter, Origin, PlacedLetter, decode
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


def letter(number: int, text: str, *, index: str = "product_sentiment", **more: object) -> DeadLetter:
    fields = {"id": f"redrive-{number}", "target": f"{index}-{MONTH}", "truncated": False, "reason": "400 why"} | more
    origin = Origin(topic="sessions.valid", partition=0, offset=number)
    return msgspec.convert({"index": index, "document": text, "origin": origin, **fields}, DeadLetter)


def review(number: int, score: object = 0.5, *, label: str = "positive") -> str:
    fields = {"session_id": f"redrive-{number}", "started_at": STARTED, "label": label, "score": score}
    return msgspec.json.encode(fields).decode()


def minute(sessions: int) -> str:
    return msgspec.json.encode({"minute": STARTED, "received_day": "2043-02-03", "sessions": sessions}).decode()


class Letters:
    """What lies in `documents.dead` since the test began."""

    def __init__(self, settings: Settings, client: Elasticsearch) -> None:
        self.settings, self.client = settings, client
        self.producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap)
        self.reader = KafkaConsumer(
            bootstrap_servers=settings.kafka_bootstrap, group_id=REDRIVE_GROUP, enable_auto_commit=False
        )
        self.places = [TopicPartition(DEAD, number) for number in range(settings.partitions)]
        self.reader.assign(self.places)
        self.reader.seek_to_end(*self.places)
        self.starts = {place: self.reader.position(place) for place in self.places}
        # Letters of other tests are none of these tests' business.
        self.reader.commit()

    def put(self, *letters: DeadLetter) -> None:
        for each in letters:
            partition = each.origin.offset % self.settings.partitions
            self.producer.send(DEAD, value=msgspec.json.encode(each), partition=partition).get(timeout=30)

    def redrive(self) -> Summary:
        return redrive(self.settings, self.client, lambda _: None)

    def dead(self) -> set[str | None]:
        for place, start in self.starts.items():
            self.reader.seek(place, start)
        ends = self.reader.end_offsets(self.places)
        placed: list[PlacedLetter] = []
        while any(self.reader.position(place) < ends[place] for place in self.places):
            for records in self.reader.poll(timeout_ms=200).values():
                for record in records:
                    if found := decode(record.value):
                        placed.append(PlacedLetter(record.partition, record.offset, found))
        redriven = {place.partition: self.reader.committed(place) or 0 for place in self.places}
        return {
            each.letter.id for each in placed if not each.letter.redrivable or each.offset >= redriven[each.partition]
        }

    def scores(self) -> dict[str, object]:
        hits = queries.documents(self.client, "product_sentiment", [f"redrive-{number}" for number in range(10)])
        return {identity: document["score"] for identity, document in hits.items()}


@pytest.fixture
def letters(stack: Stack) -> Iterator[Letters]:
    with connect(stack.settings) as client:
        ensure_templates(client, stack.settings)
        made = Letters(stack.settings, client)
        yield made
        made.producer.close()
        made.reader.close()
        client.indices.delete(index=[f"{alias}-{MONTH}" for alias in INDICES], ignore_unavailable=True)


def test_redrive_after_the_repair_indexes_each_letter_once(letters: Letters) -> None:
    letters.client.index(index=INDEX, id="redrive-2", document={"session_id": "redrive-2", "score": 0.9})
    letters.client.index(
        index=f"kpi_minute-{MONTH}", id="redrive-6", document={"sessions": 5}, version=5, version_type="external"
    )
    letters.put(
        letter(1, review(1)),
        letter(1, review(1)),
        letter(2, review(2, 0.1)),
        letter(3, review(3), target=None),
        letter(4, "{", id=None),
        letter(5, review(5)[:20], truncated=True),
        letter(6, minute(3), index="kpi_minute"),
        letter(7, minute(4), index="kpi_minute"),
    )
    for value in (b"no letter", b"{}", b"\xff", None):
        letters.producer.send(DEAD, key=b"any", value=value, partition=0).get(timeout=30)
    counted = survey(letters.settings)
    assert (counted.letters, counted.undecodable, counted.truncated) == (12, 5, 1)
    assert counted.indices == {INDEX: 4, f"kpi_minute-{MONTH}": 2}
    queries.refresh(letters.client)
    assert letters.scores() == {"redrive-2": 0.9}, "a survey changes nothing"
    assert letters.dead() == {*(f"redrive-{number}" for number in (1, 2, 3, 5, 6, 7)), None}

    done = letters.redrive()
    queries.refresh(letters.client)
    assert (done.letters, done.stored, done.present, done.refused) == (12, 3, 3, {})
    # What is there already stays, whatever the letter says.
    assert letters.scores() == {"redrive-1": 0.5, "redrive-2": 0.9, "redrive-3": 0.5}
    assert letters.client.get(index=f"kpi_minute-{MONTH}", id="redrive-6")["_source"]["sessions"] == 5
    assert letters.dead() == {"redrive-5", None}
    assert letters.redrive().letters == 0


def test_redrive_of_a_letter_that_is_refused_again_leaves_it_for_the_next(letters: Letters) -> None:
    letters.client.indices.create(index=INDEX, mappings={"properties": {"label": {"type": "date"}}})
    letters.put(letter(1, review(1)), letter(2, review(2, label="2043-01-01")))
    first = letters.redrive()
    assert (first.stored, first.refused) == (1, {"document_parsing_exception": 1})
    assert letters.dead() == {"redrive-1"}

    letters.client.indices.delete(index=INDEX)
    again = letters.redrive()
    assert (again.letters, again.stored) == (1, 1)
    assert letters.dead() == set()


def test_redrive_while_an_index_takes_no_documents_keeps_its_place(
    letters: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.5)
    letters.client.indices.create(index=INDEX, settings={"index.blocks.write": True})
    letters.put(letter(1, review(1)))
    with pytest.raises(TransientError, match="cluster_block_exception"):
        letters.redrive()
    assert letters.dead() == {"redrive-1"}
    letters.client.indices.put_settings(index=INDEX, settings={"index.blocks.write": None})
    assert letters.redrive().stored == 1


def test_redrive_that_dies_before_its_commit_repeats_without_effect(
    letters: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters.put(letter(1, review(1)))
    with monkeypatch.context() as crashing:
        crashing.setattr(KafkaConsumer, "commit", _die)
        with pytest.raises(RuntimeError, match="killed"):
            letters.redrive()
    assert letters.dead() == {"redrive-1"}
    # Meanwhile the stream read the session again, and its newer state must stay.
    letters.client.index(index=INDEX, id="redrive-1", document={"session_id": "redrive-1", "score": 0.7}, refresh=True)
    done = letters.redrive()
    assert (done.stored, done.present) == (0, 1)
    assert letters.scores() == {"redrive-1": 0.7}
    assert letters.dead() == set()


def test_redrive_offsets_outlive_the_letters_they_cover(letters: Letters) -> None:
    admin = KafkaAdminClient(bootstrap_servers=letters.settings.kafka_bootstrap)
    try:
        names = [(ConfigResourceType.TOPIC, DEAD), (ConfigResourceType.BROKER, "1")]
        described = admin.describe_configs([ConfigResource(*name) for name in names], config_filter="all")
    finally:
        admin.close()
    topic, broker = described["topic"][DEAD], described["broker"]["1"]
    # A letter lies in Kafka for as long as its segment takes others, and then for its retention.
    oldest_letter_ms = int(topic["retention.ms"]["value"]) + int(topic["segment.ms"]["value"])
    assert int(broker["offsets.retention.minutes"]["value"]) * 60_000 > oldest_letter_ms


def test_survey_of_a_topic_that_was_made_anew_counts_its_letters(letters: Letters) -> None:
    letters.put(letter(1, review(1)))
    assert survey(letters.settings).letters == 1
    # As the earlier topic of this name left them: behind the ends of this one.
    ends = letters.reader.end_offsets(letters.places)
    letters.reader.commit({place: OffsetAndMetadata(end + 5, "", -1) for place, end in ends.items()})
    assert survey(letters.settings).letters >= 1


def test_redrive_without_kafka_says_so(letters: Letters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REQUEST_MS", 500)
    away = letters.settings.replace(kafka_bootstrap="127.0.0.1:9")
    with pytest.raises(TransientError, match=r"Kafka at .* is unavailable"):
        survey(away)


def _die(*_: object, **__: object) -> None:
    raise RuntimeError("killed")
