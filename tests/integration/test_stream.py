"""The stream job on a real cluster: each session is indexed exactly once despite failures and restarts."""

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

from include.clients.elasticsearch import connect
from include.clients.flink import FlinkRest
from include.contracts.dead_letters import DeadLetter, decode
from include.contracts.errors import TerminalError
from include.contracts.index_documents import STREAM_INDICES, SessionSummary, index_name
from include.contracts.session import Purchase, ValidSession
from include.contracts.settings import Settings
from include.contracts.topics import DEAD, VALID
from include.serving import queries
from include.supervise.stream_job import cancel, get_job_status, prune, running_job, stop_with_savepoint, submit
from local.stack import Stack
from local.stream_job import job_program, resume_job, start_job, state_folder
from tests.polling import eventually
from tests.valid_sessions import encoded, expected_kpis, valid_session, viewed

TIMEOUT_S = 180.0
CHECKPOINT_S = 2
CATEGORIES = ("living_room", "bedroom", "office", "dining_room")


class Shop:
    """Produces admitted sessions in a month of their own and compares the indices with them."""

    def __init__(self, settings: Settings, client: Elasticsearch, producer: KafkaProducer) -> None:
        self.settings, self.client, self.producer = settings, client, producer
        self.run = uuid.uuid4().hex[:8]
        self.rng = random.Random(5)
        # No other test has sessions in this month.
        self.start = datetime(2031, 3, 1, tzinfo=UTC)
        self.sent: list[ValidSession] = []

    def produce(self, sessions: int) -> None:
        """Produce new sessions and wait for their acknowledgement."""
        for number in range(len(self.sent), len(self.sent) + sessions):
            session = self._session(number)
            self.sent.append(session)
            self.producer.send(
                VALID, key=b"k", value=encoded(session), partition=number % self.settings.kafka.partitions
            )
        self.producer.flush()

    def produce_record(self, value: bytes | None) -> tuple[int, int]:
        """Produce one record; return its partition and offset."""
        result = self.producer.send(VALID, key=b"k", value=value, partition=0).get(timeout=30)
        return result.partition, result.offset

    def assert_exact(self, within_s: float = TIMEOUT_S) -> None:
        """Assert that each document is indexed once and the KPIs per minute are correct."""
        required = self._ids()
        expected = expected_kpis(self.sent, self.settings.stream.lateness_threshold_s)
        eventually(lambda: self._counts() == (*map(len, required.values()), len(self.sent)), within_s, every_s=0.5)
        for alias, ids in required.items():
            assert self._existing_ids(alias, ids) == ids
        eventually(lambda: self._kpis().keys() == expected.keys(), 30.0)
        for identity, row in self._kpis().items():
            assert row == pytest.approx(expected[identity]), identity

    def _session(self, number: int) -> ValidSession:
        rng = self.rng
        views = [
            viewed(
                product_id=f"p{rng.randrange(10):02d}",
                category=rng.choice(CATEGORIES),
                review=rng.choice(["Lovely, well built.", "It broke at once, terrible.", None]),
            )
            for _ in range(rng.randrange(1, 4))
        ]
        made = rng.random() < 0.3
        return valid_session(
            session_id=f"{self.run}-{number}",
            user_id=f"u-{rng.randrange(200)}",
            started_at=self.start + timedelta(seconds=rng.randrange(1_200)),
            received_at=datetime.now(UTC),
            views=views,
            purchase=Purchase(made=made, amount=rng.randrange(90_000) / 100 if made else 0.0, payment=None),
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

    def _own_sessions(self) -> dict[str, Any]:
        return {"prefix": {"session_id": f"{self.run}-"}}

    def _counts(self) -> tuple[int, ...]:
        stored = [
            queries.count(self.client, alias, self._own_sessions()) for alias in STREAM_INDICES if alias != "kpi_minute"
        ]
        total = queries.kpi_total(self.client, self.start, self.start + timedelta(days=1))
        return (*stored, total.sessions)

    def _existing_ids(self, alias: str, ids: set[str]) -> set[str]:
        listed = sorted(ids)
        parts = [listed[start : start + 5_000] for start in range(0, len(listed), 5_000)]
        return {existing for part in parts for existing in queries.documents(self.client, alias, part)}

    def _kpis(self) -> dict[str, dict[str, Any]]:
        window = {"range": {"minute": {"gte": self.start.isoformat(), "lt": "2031-03-02T00:00:00Z"}}}
        hits = self.client.search(index="kpi_minute", query=window, size=10_000)["hits"]["hits"]
        return {hit["_id"]: hit["_source"] for hit in hits}


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Shop]:
    """Return a shop on the shared stack; the job is running."""
    settings = stack.settings
    producer = KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers, linger_ms=5)
    with connect(settings.elasticsearch) as client:
        assert settings.stream.checkpoint_interval_s == CHECKPOINT_S
        start_job(settings, deadline_s=TIMEOUT_S)
        yield Shop(settings, client, producer)
    producer.close()
    with FlinkRest(settings.flink) as flink:
        if running_job(flink) is not None:
            cancel(flink)


@pytest.fixture
def flink(stack: Stack) -> Iterator[FlinkRest]:
    with FlinkRest(stack.settings.flink) as rest:
        yield rest


def dead_letters(settings: Settings) -> dict[tuple[int, int, str | None], DeadLetter]:
    """Return all dead letters by origin and id."""
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
                    # Other tests write records that are not dead letters.
                    if dead_letter := decode(record.value):
                        results[dead_letter.origin.partition, dead_letter.origin.offset, dead_letter.id] = dead_letter
        return results
    finally:
        consumer.close()


def is_checkpoint_blocked(flink: FlinkRest) -> bool:
    """Return whether no checkpoint completed for three intervals, because the sink blocks the barrier."""
    status = get_job_status(flink)
    return status is not None and (status.checkpoint_age_s or 0) > 3 * CHECKPOINT_S


def test_stream_indexes_documents_and_minutes_of_each_session(shop: Shop) -> None:
    shop.produce(2_000)
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


def test_stream_undecodable_record_becomes_a_dead_letter(shop: Shop, flink: FlinkRest) -> None:
    broken = [b"{", b"", None, b"\xff\xfe", b'{"v":1}', encoded(valid_session()).replace(b'"v":1', b'"v":9')]
    topic_partitions = [shop.produce_record(value) for value in broken]
    shop.produce(100)
    shop.assert_exact()
    eventually(
        lambda: (
            dead_letters(shop.settings).keys() >= {(*topic_partition, None) for topic_partition in topic_partitions}
        ),
        TIMEOUT_S,
    )
    existing = dead_letters(shop.settings)
    for value, topic_partition in zip(broken, topic_partitions, strict=True):
        dead_letter = existing[*topic_partition, None]
        assert dead_letter.origin.topic == VALID
        assert dead_letter.reason.startswith("unreadable: ")
        assert dead_letter.document == (value or b"").decode("utf-8", "backslashreplace")
    status = get_job_status(flink)
    assert status is not None
    assert (status.state, status.restarts) == ("RUNNING", 0)


def test_stream_rejected_document_becomes_a_dead_letter(shop: Shop) -> None:
    index = index_name("product_details", datetime(2032, 1, 1, tzinfo=UTC))
    shop.client.indices.create(index=index, mappings={"properties": {"name": {"type": "date"}}})
    identity = f"refused-{shop.run}"
    session = valid_session(session_id=identity, started_at=datetime(2032, 1, 5, tzinfo=UTC))
    partition, offset = shop.produce_record(encoded(session))
    dead_letter = eventually(
        lambda: dead_letters(shop.settings).get((partition, offset, f"{session.document_id}:0")), TIMEOUT_S
    )
    assert dead_letter is not None
    assert dead_letter.index == "product_details"
    assert "document_parsing_exception" in dead_letter.reason
    assert msgspec.json.decode(dead_letter.document)["session_id"] == identity
    # The other documents of the session are indexed.
    eventually(lambda: queries.documents(shop.client, "product_sentiment", [f"{session.document_id}:0"]))
    shop.client.indices.delete(index=index)
    shop.client.delete(index="session_summary-2032.01", id=session.document_id)


def test_stream_same_session_id_of_two_users_stores_both(shop: Shop) -> None:
    identity = f"shared-{shop.run}"
    pair = [
        valid_session(session_id=identity, user_id=user, started_at=datetime(2032, 2, 5, tzinfo=UTC)) for user in "ab"
    ]
    for session in pair:
        shop.produce_record(encoded(session))
    users = eventually(lambda: _users(shop, identity), TIMEOUT_S)
    assert users == {alias: ["a", "b"] for alias in ("session_summary", "product_details", "product_sentiment")}
    made = [index_name(alias, pair[0].started_at) for alias in STREAM_INDICES]
    shop.client.indices.delete(index=made, ignore_unavailable=True)


def _users(shop: Shop, identity: str) -> dict[str, list[str]] | None:
    """Return alias -> users of a session id once user b is searchable."""
    results = {}
    for alias in ("session_summary", "product_details", "product_sentiment"):
        query = {"term": {"session_id": identity}}
        hits = shop.client.search(index=alias, query=query, ignore_unavailable=True)["hits"]["hits"]
        results[alias] = sorted(hit["_source"]["user_id"] for hit in hits)
    return results if all("b" in users for users in results.values()) else None


def test_submit_second_job_raises_terminal_error(shop: Shop, flink: FlinkRest) -> None:
    with pytest.raises(TerminalError, match="already exists"):
        submit(flink, job_program())


def test_stream_resumed_from_a_savepoint_is_exact(shop: Shop, flink: FlinkRest) -> None:
    shop.produce(1_000)
    point = stop_with_savepoint(flink, TIMEOUT_S)
    assert running_job(flink) is None
    shop.produce(1_000)
    job_id, restored = resume_job(shop.settings, deadline_s=TIMEOUT_S)
    assert restored is not None
    assert restored.path == point.path
    shop.assert_exact()
    state = state_folder(shop.settings.local)
    assert point.path in prune(state, [job_id])
    assert point.path.exists()
    assert state / "checkpoints" / job_id not in prune(state, [job_id], delete=True)
    assert not point.path.exists()


def test_stream_resumed_from_the_last_checkpoint_is_exact(shop: Shop, flink: FlinkRest) -> None:
    shop.produce(1_000)
    cancel(flink, TIMEOUT_S)
    shop.produce(500)
    _, restored = resume_job(shop.settings, deadline_s=TIMEOUT_S)
    assert restored is not None
    assert restored.path.name.startswith("chk-")
    shop.assert_exact()


def test_stream_started_without_state_is_exact(shop: Shop, flink: FlinkRest) -> None:
    cancel(flink, TIMEOUT_S)
    start_job(shop.settings, deadline_s=TIMEOUT_S)
    shop.produce(500)
    shop.assert_exact()


@pytest.mark.parametrize("program", ["flink-taskmanager", "elasticsearch", "kafka"])
def test_stream_server_killed_is_exact(shop: Shop, stack: Stack, program: str) -> None:
    shop.produce(1_500)
    stack.kill(program)
    eventually(lambda: stack.pid(program), TIMEOUT_S)
    stack.wait([program], TIMEOUT_S)
    shop.produce(1_500)
    shop.assert_exact()


def test_stream_hung_elasticsearch_is_waited_for(shop: Shop, stack: Stack, flink: FlinkRest) -> None:
    pids = stack.pids("elasticsearch")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        shop.produce(3_000)
        eventually(lambda: is_checkpoint_blocked(flink), TIMEOUT_S)
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)
    shop.assert_exact()
    status = get_job_status(flink)
    assert status is not None
    assert (status.state, status.idle_tasks) == ("RUNNING", {})
