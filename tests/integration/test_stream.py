"""The stream job on a real cluster: each session once in every index, whatever dies or waits meanwhile."""

import os
import random
import signal
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from elasticsearch import Elasticsearch
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from include.contracts.dead_letters import DeadLetter, decode
from include.contracts.errors import TerminalError
from include.contracts.index_documents import STREAM_INDICES, SessionSummary, index_name
from include.contracts.session import Purchase, ValidSession
from include.contracts.settings import Settings
from include.contracts.topics import DEAD, VALID
from include.serving import queries
from include.serving.client import connect
from include.supervise.flink_rest import FlinkRest
from include.supervise.stream_job import cancel, get_job_status, prune, running_job, stop_with_savepoint, submit
from local.stack import Stack
from local.stream_job import job_program, resume_job, start_job, state_folder
from tests.polling import eventually
from tests.valid_sessions import encoded, expected_kpis, valid_session, viewed

PATIENCE_S = 180.0
CHECKPOINT_S = 2
CATEGORIES = ("living_room", "bedroom", "office", "dining_room")


class Shop:
    """Feeds admitted sessions of a time of their own and compares what has come out of the stream."""

    def __init__(self, settings: Settings, client: Elasticsearch, producer: KafkaProducer) -> None:
        self.settings, self.client, self.producer = settings, client, producer
        self.run = uuid.uuid4().hex[:8]
        self.chance = random.Random(5)
        # No other test has sessions in this month.
        self.began = datetime(2031, 3, 1, tzinfo=UTC)
        self.sent: list[ValidSession] = []

    def visit(self, sessions: int) -> None:
        """Send so many new sessions and wait until the broker has them."""
        for number in range(len(self.sent), len(self.sent) + sessions):
            session = self._session(number)
            self.sent.append(session)
            self.producer.send(
                VALID, key=b"k", value=encoded(session), partition=number % self.settings.kafka.partitions
            )
        self.producer.flush()

    def place(self, value: bytes | None) -> tuple[int, int]:
        """Put one record and wait for its place."""
        result = self.producer.send(VALID, key=b"k", value=value, partition=0).get(timeout=30)
        return result.partition, result.offset

    def assert_exact(self, within_s: float = PATIENCE_S) -> None:
        """Each session sent is in each index, each document once, and the minutes are right."""
        required = self._ids()
        expected = expected_kpis(self.sent, self.settings.stream.lateness_threshold_s)
        eventually(lambda: self._counts() == (*map(len, required.values()), len(self.sent)), within_s, every_s=0.5)
        for alias, ids in required.items():
            assert self._known(alias, ids) == ids
        eventually(lambda: self._kpis().keys() == expected.keys(), 30.0)
        for identity, row in self._kpis().items():
            assert row == pytest.approx(expected[identity]), identity

    def _session(self, number: int) -> ValidSession:
        chance = self.chance
        views = [
            viewed(
                product_id=f"p{chance.randrange(10):02d}",
                category=chance.choice(CATEGORIES),
                review=chance.choice(["Lovely, well built.", "It broke at once, terrible.", None]),
            )
            for _ in range(chance.randrange(1, 4))
        ]
        made = chance.random() < 0.3
        return valid_session(
            session_id=f"{self.run}-{number}",
            user_id=f"u-{chance.randrange(200)}",
            started_at=self.began + timedelta(seconds=chance.randrange(1_200)),
            received_at=datetime.now(UTC),
            views=views,
            purchase=Purchase(made=made, amount=chance.randrange(90_000) / 100 if made else 0.0, payment=None),
        )

    def _ids(self) -> dict[str, set[str]]:
        positions = [(session, position) for session in self.sent for position in range(len(session.views))]
        return {
            "session_summary": {session.document_id for session in self.sent},
            "product_details": {f"{session.document_id}:{position}" for session, position in positions},
            "product_sentiment": {
                f"{session.document_id}:{position}" for session, position in positions if session.views[position].review
            },
        }

    def _mine(self) -> dict[str, Any]:
        return {"prefix": {"session_id": f"{self.run}-"}}

    def _counts(self) -> tuple[int, ...]:
        stored = [queries.count(self.client, alias, self._mine()) for alias in STREAM_INDICES if alias != "kpi_minute"]
        total = queries.kpi_total(self.client, self.began, self.began + timedelta(days=1))
        return (*stored, total.sessions)

    def _known(self, alias: str, ids: set[str]) -> set[str]:
        listed = sorted(ids)
        parts = [listed[start : start + 5_000] for start in range(0, len(listed), 5_000)]
        return {existing for part in parts for existing in queries.documents(self.client, alias, part)}

    def _kpis(self) -> dict[str, dict[str, Any]]:
        window = {"range": {"minute": {"gte": self.began.isoformat(), "lt": "2031-03-02T00:00:00Z"}}}
        hits = self.client.search(index="kpi_minute", query=window, size=10_000)["hits"]["hits"]
        return {hit["_id"]: hit["_source"] for hit in hits}


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Shop]:
    """A shop on the shared stack, with the job running."""
    settings = stack.settings
    producer = KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers, linger_ms=5)
    with connect(settings) as client:
        assert settings.stream.checkpoint_interval_s == CHECKPOINT_S
        start_job(settings, deadline_s=PATIENCE_S)
        yield Shop(settings, client, producer)
    producer.close()
    with FlinkRest(settings) as flink:
        if running_job(flink) is not None:
            cancel(flink)


@pytest.fixture
def flink(stack: Stack) -> Iterator[FlinkRest]:
    with FlinkRest(stack.settings) as rest:
        yield rest


def dead_letters(settings: Settings) -> dict[tuple[int, int, str | None], DeadLetter]:
    """All dead letters by origin and id."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka.bootstrap_servers, auto_offset_reset="earliest")
    try:
        parts = [TopicPartition(DEAD, partition) for partition in range(settings.kafka.partitions)]
        ends = consumer.end_offsets(parts)
        consumer.assign(parts)
        consumer.seek_to_beginning(*parts)
        results = {}
        while any(consumer.position(part) < ends[part] for part in parts):
            for batch in consumer.poll(timeout_ms=500).values():
                for record in batch:
                    # Other tests leave records there that are no letters.
                    if dead_letter := decode(record.value):
                        results[dead_letter.origin.partition, dead_letter.origin.offset, dead_letter.id] = dead_letter
        return results
    finally:
        consumer.close()


def held_back(flink: FlinkRest) -> bool:
    """No checkpoint for three intervals: the sink keeps the barrier until Elasticsearch has answered."""
    seen = get_job_status(flink)
    return seen is not None and (seen.checkpoint_age_s or 0) > 3 * CHECKPOINT_S


def test_each_session_becomes_its_documents_and_its_minutes(shop: Shop) -> None:
    shop.visit(2_000)
    shop.assert_exact()
    session = shop.sent[17]
    result = queries.documents(shop.client, "session_summary", [session.document_id])[session.document_id]
    summary = msgspec.convert(result, SessionSummary)
    assert (summary.user_id, summary.started_at, summary.purchase_amount, summary.viewed_products) == (
        session.user_id,
        session.started_at,
        session.purchase.amount,
        [view.product_id for view in session.views],
    )
    assert queries.documents(shop.client, "product_details", [f"{session.document_id}:0"])


def test_what_cannot_be_read_becomes_a_dead_letter_and_stops_nothing(shop: Shop, flink: FlinkRest) -> None:
    broken = [b"{", b"", None, b"\xff\xfe", b'{"v":1}', encoded(valid_session()).replace(b'"v":1', b'"v":9')]
    topic_partitions = [shop.place(value) for value in broken]
    shop.visit(100)
    shop.assert_exact()
    eventually(
        lambda: (
            dead_letters(shop.settings).keys() >= {(*topic_partition, None) for topic_partition in topic_partitions}
        ),
        PATIENCE_S,
    )
    existing = dead_letters(shop.settings)
    for value, topic_partition in zip(broken, topic_partitions, strict=True):
        dead_letter = existing[*topic_partition, None]
        assert dead_letter.origin.topic == VALID
        assert dead_letter.reason.startswith("unreadable: ")
        assert dead_letter.document == (value or b"").decode("utf-8", "backslashreplace")
    seen = get_job_status(flink)
    assert seen is not None
    assert (seen.state, seen.restarts) == ("RUNNING", 0)


def test_what_elasticsearch_refuses_becomes_a_dead_letter(shop: Shop) -> None:
    index = index_name("product_details", datetime(2032, 1, 1, tzinfo=UTC))
    shop.client.indices.create(index=index, mappings={"properties": {"name": {"type": "date"}}})
    identity = f"refused-{shop.run}"
    session = valid_session(session_id=identity, started_at=datetime(2032, 1, 5, tzinfo=UTC))
    partition, offset = shop.place(encoded(session))
    dead_letter = eventually(
        lambda: dead_letters(shop.settings).get((partition, offset, f"{session.document_id}:0")), PATIENCE_S
    )
    assert dead_letter is not None
    assert dead_letter.index == "product_details"
    assert "document_parsing_exception" in dead_letter.reason
    assert msgspec.json.decode(dead_letter.document)["session_id"] == identity
    # Its other documents were taken.
    eventually(lambda: queries.documents(shop.client, "product_sentiment", [f"{session.document_id}:0"]))
    shop.client.indices.delete(index=index)
    shop.client.delete(index="session_summary-2032.01", id=session.document_id)


def test_one_session_id_under_two_users_leaves_both_documents(shop: Shop) -> None:
    identity = f"shared-{shop.run}"
    pair = [
        valid_session(session_id=identity, user_id=user, started_at=datetime(2032, 2, 5, tzinfo=UTC)) for user in "ab"
    ]
    for session in pair:
        shop.place(encoded(session))
    users = eventually(lambda: _users(shop, identity), PATIENCE_S)
    assert users == {alias: ["a", "b"] for alias in ("session_summary", "product_details", "product_sentiment")}
    made = [index_name(alias, pair[0].started_at) for alias in STREAM_INDICES]
    shop.client.indices.delete(index=made, ignore_unavailable=True)


def _users(shop: Shop, identity: str) -> dict[str, list[str]] | None:
    """Alias -> users of the documents of a session id, once the newest user's are searchable."""
    results = {}
    for alias in ("session_summary", "product_details", "product_sentiment"):
        query = {"term": {"session_id": identity}}
        hits = shop.client.search(index=alias, query=query, ignore_unavailable=True)["hits"]["hits"]
        results[alias] = sorted(hit["_source"]["user_id"] for hit in hits)
    return results if all("b" in users for users in results.values()) else None


def test_a_second_job_is_refused(shop: Shop, flink: FlinkRest) -> None:
    with pytest.raises(TerminalError, match="already exists"):
        submit(flink, job_program())


def test_stopped_with_a_savepoint_and_resumed_nothing_is_lost_or_doubled(shop: Shop, flink: FlinkRest) -> None:
    shop.visit(1_000)
    point = stop_with_savepoint(flink, PATIENCE_S)
    assert running_job(flink) is None
    shop.visit(1_000)
    job_id, restored = resume_job(shop.settings, deadline_s=PATIENCE_S)
    assert restored is not None
    assert restored.path == point.path
    shop.assert_exact()
    state = state_folder(shop.settings)
    assert point.path in prune(state, [job_id])
    assert point.path.exists()
    assert state / "checkpoints" / job_id not in prune(state, [job_id], delete=True)
    assert not point.path.exists()


def test_resumed_from_the_last_checkpoint_after_a_cancel(shop: Shop, flink: FlinkRest) -> None:
    shop.visit(1_000)
    cancel(flink, PATIENCE_S)
    shop.visit(500)
    _, restored = resume_job(shop.settings, deadline_s=PATIENCE_S)
    assert restored is not None
    assert restored.path.name.startswith("chk-")
    shop.assert_exact()


def test_a_fresh_start_counts_the_minutes_anew_and_arrives_at_the_same(shop: Shop, flink: FlinkRest) -> None:
    cancel(flink, PATIENCE_S)
    start_job(shop.settings, deadline_s=PATIENCE_S)
    shop.visit(500)
    shop.assert_exact()


@pytest.mark.parametrize("program", ["flink-taskmanager", "elasticsearch", "kafka"])
def test_a_server_killed_in_mid_stream_loses_and_doubles_nothing(shop: Shop, stack: Stack, program: str) -> None:
    shop.visit(1_500)
    stack.kill(program)
    eventually(lambda: stack.pid(program), PATIENCE_S)
    stack.wait([program], PATIENCE_S)
    shop.visit(1_500)
    shop.assert_exact()


def test_an_elasticsearch_that_does_not_answer_is_waited_for(shop: Shop, stack: Stack, flink: FlinkRest) -> None:
    pids = stack.pids("elasticsearch")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        shop.visit(3_000)
        eventually(lambda: held_back(flink), PATIENCE_S)
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)
    shop.assert_exact()
    seen = get_job_status(flink)
    assert seen is not None
    assert (seen.state, seen.idle_tasks) == ("RUNNING", {})
