"""The supervisor's journal, its lock and its alarms on real servers, and what it sees of them."""

import httpx
import pytest
import redis
from elasticsearch import Elasticsearch
from kafka import KafkaProducer

from include.contracts import keys, topics
from include.contracts.errors import TransientError
from include.contracts.settings import Secret, Settings
from include.supervise import journal as journal_module
from include.supervise.act import look
from include.supervise.alert import Alarms
from include.supervise.elasticsearch_probe import probe_elasticsearch
from include.supervise.journal import Entry, Journal, acting, my_turn
from include.supervise.observation import Away, Gate, Kafka, Search
from include.supervise.probes import observe
from include.supervise.report import SHOWN, stages
from local.stack import Stack
from local.stream_job import state_folder
from tests.integration.supervision.conftest import leave_gate

pytestmark = pytest.mark.usefixtures("journal")


def test_what_is_seen_of_real_servers(settings: Settings) -> None:
    with KafkaProducer(bootstrap_servers=settings.kafka_bootstrap) as producer:
        before = observe(settings)
        producer.send(topics.RAW, b"{}", key=b"u").get(timeout=10)
        seen = observe(settings, before, state=state_folder(settings))
    # The shared stack has no MongoDB.
    # Only some of the tests that share these servers start MongoDB.
    assert seen.unknown.keys() <= {"archive"}, seen.unknown
    assert isinstance(seen.kafka, Kafka)
    assert isinstance(before.kafka, Kafka)
    assert seen.kafka.raw_end == before.kafka.raw_end + 1
    assert seen.input_flowing is True
    assert isinstance(seen.gate, Gate)
    assert isinstance(seen.elasticsearch, Search)
    assert [row.stage for row in stages(settings)] == list(SHOWN)
    leave_gate(settings)


@pytest.mark.parametrize("alias", ["session_summary", "kpi_minute"])
def test_probe_with_a_closed_index_says_which_takes_no_documents(stack: Stack, alias: str) -> None:
    index = f"{alias}-1999.01"
    assert probe_elasticsearch(stack.settings).refusing is None
    with Elasticsearch(stack.settings.elasticsearch_url) as client:
        client.indices.create(index=index)
        try:
            client.indices.close(index=index)
            closed = probe_elasticsearch(stack.settings)
            client.indices.open(index=index)
            opened = probe_elasticsearch(stack.settings)
        finally:
            client.indices.delete(index=index)
    assert (closed.refusing, opened.refusing) == (f"{index}: closed", None)


@pytest.mark.parametrize("alias", ["session_summary", "kpi_minute"])
def test_probe_with_a_write_block_says_which_index_takes_no_documents(stack: Stack, alias: str) -> None:
    index = f"{alias}-1999.01"
    with Elasticsearch(stack.settings.elasticsearch_url) as client:
        client.indices.create(index=index, settings={"index.blocks.write": True})
        try:
            blocked = probe_elasticsearch(stack.settings)
        finally:
            client.indices.delete(index=index)
    assert blocked.refusing == f"{index}: index.blocks.write"


def test_only_one_supervisor_acts_and_the_lock_is_its_owners(settings: Settings) -> None:
    with acting(settings) as mine:
        assert mine is not None
        with acting(settings) as other:
            assert other is None
        mine.extend()
    with acting(settings) as again:
        assert again is not None


def test_acting_renews_the_lock_while_it_is_held(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "LOCK_MS", 400)
    monkeypatch.setattr(journal_module, "RENEW_S", 0.05)
    with acting(settings) as mine, redis.Redis.from_url(settings.redis_url.reveal()) as client:
        assert mine is not None
        # Whoever waits for longer than the lock's time still finds it held, by the same owner.
        token = client.get(keys.supervising())
        for _ in range(3):
            client.blpop(["nothing comes"], timeout=0.4)
            assert client.get(keys.supervising()) == token


def test_my_turn_while_another_acts_says_so(settings: Settings) -> None:
    changed = pytest.raises(TransientError, match="is being changed by supervise_stream")
    with acting(settings), changed, my_turn(settings):
        raise AssertionError("two act at once")


def test_my_turn_without_redis_says_so(settings: Settings) -> None:
    away = settings.replace(redis_url=Secret("redis://127.0.0.1:1/0"))
    with pytest.raises(TransientError, match="Redis is unavailable"), my_turn(away):
        raise AssertionError("nobody may act without the lock")


def test_job_id_is_the_same_until_it_is_spent(settings: Settings) -> None:
    with acting(settings) as turn:
        assert turn is not None
        first = turn.job_id()
        turn.spend("0" * 32)
        assert turn.job_id() == first
        turn.spend(first)
        second = turn.job_id()
    assert second != first
    assert len(second) == len(bytes.fromhex(second)) * 2 == 32


def test_what_repeats_itself_is_kept_once_a_minute(settings: Settings) -> None:
    entry = look(settings, state_folder(settings))
    with Journal(settings) as journal:
        assert journal.record(entry)
        assert not journal.record(Entry(entry.at + 30, entry.observation, entry.decision))
        assert journal.record(Entry(entry.at + 61, entry.observation, entry.decision))
        assert journal.record(Entry(entry.at + 62, entry.observation, entry.decision, acted=True))
        assert journal.restarts_since(entry.at) == [entry.at + 62]
        with redis.Redis.from_url(settings.redis_url.reveal()) as client:
            client.xadd(keys.decisions(), {"record": b"\xff of another version"})
        assert len(journal.last(10)) == 3
        assert len(journal.restarts_since(entry.at - 60)) == 2


def test_an_alarm_is_sent_once_and_its_end_too(settings: Settings) -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(500 if len(sent) == 1 else 200)

    hooked = settings.replace(alert_webhook=Secret("http://hook.example/secret"))
    with Alarms(hooked, httpx.MockTransport(answer)) as alarms:
        tell = ("stream.no_job", "the job is gone", "why", "do this")
        assert alarms.raise_(*tell)
        assert alarms.raise_(*tell)  # the webhook had not taken the first
        assert not alarms.raise_(*tell)
        assert alarms.clear("stream.no_job", "gate.silent") == ["stream.no_job"]
        assert alarms.clear("stream.no_job") == []
    assert [b'"recovered"' in request.content for request in sent] == [False, False, True]


def test_without_redis_nothing_is_done(settings: Settings) -> None:
    away = settings.replace(redis_url=Secret("redis://127.0.0.1:1/0"))
    entry = look(away, state_folder(settings))
    assert isinstance(entry.observation.gate, Away)
    assert not entry.decision.acts
    assert entry.decision.action != "healthy"
