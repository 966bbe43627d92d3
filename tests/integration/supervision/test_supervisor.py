"""The decision log, the supervisor lock, the alerts and the probes on real servers."""

import httpx
import pytest
import redis
from elasticsearch import Elasticsearch
from kafka import KafkaProducer

from include.contracts import redis_keys, topics
from include.contracts.errors import TransientError
from include.contracts.setting import Secret
from include.contracts.settings import Settings
from include.supervise import decision_log as decision_log_module
from include.supervise.alert_manager import AlertManager
from include.supervise.decision_log import DecisionLog, DecisionRecord, require_supervisor_lock, supervisor_lock
from include.supervise.elasticsearch_probe import probe_elasticsearch
from include.supervise.observation import ElasticsearchState, GateState, KafkaState, Unavailable
from include.supervise.probes import observe
from include.supervise.stage_status import SHOWN, stages
from include.supervise.supervisor import observe_and_decide
from local.stack import Stack
from local.stream_job import state_folder
from tests.integration.supervision.conftest import leave_gate

pytestmark = pytest.mark.usefixtures("decision_log")


def test_observe_real_servers_returns_their_states(settings: Settings) -> None:
    with KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers) as producer:
        before = observe(settings)
        producer.send(topics.RAW, b"{}", key=b"u").get(timeout=10)
        seen = observe(settings, before, state=state_folder(settings.local))
    # Only some of the tests that share these servers start MongoDB.
    assert seen.unavailable.keys() <= {"archive"}, seen.unavailable
    assert isinstance(seen.kafka, KafkaState)
    assert isinstance(before.kafka, KafkaState)
    assert seen.kafka.raw_end == before.kafka.raw_end + 1
    assert seen.input_flowing is True
    assert isinstance(seen.gate, GateState)
    assert isinstance(seen.elasticsearch, ElasticsearchState)
    assert [row.stage for row in stages(settings)] == list(SHOWN)
    leave_gate(settings)


@pytest.mark.parametrize("alias", ["session_summary", "kpi_minute"])
def test_probe_elasticsearch_with_a_closed_index_returns_its_write_block(stack: Stack, alias: str) -> None:
    index = f"{alias}-1999.01"
    assert probe_elasticsearch(stack.settings.elasticsearch).write_block is None
    with Elasticsearch(stack.settings.elasticsearch.url) as client:
        client.indices.create(index=index)
        try:
            client.indices.close(index=index)
            closed = probe_elasticsearch(stack.settings.elasticsearch)
            client.indices.open(index=index)
            opened = probe_elasticsearch(stack.settings.elasticsearch)
        finally:
            client.indices.delete(index=index)
    assert (closed.write_block, opened.write_block) == (f"{index}: closed", None)


@pytest.mark.parametrize("alias", ["session_summary", "kpi_minute"])
def test_probe_elasticsearch_with_a_blocked_index_returns_its_write_block(stack: Stack, alias: str) -> None:
    index = f"{alias}-1999.01"
    with Elasticsearch(stack.settings.elasticsearch.url) as client:
        client.indices.create(index=index, settings={"index.blocks.write": True})
        try:
            blocked = probe_elasticsearch(stack.settings.elasticsearch)
        finally:
            client.indices.delete(index=index)
    assert blocked.write_block == f"{index}: index.blocks.write"


def test_supervisor_lock_has_one_owner(settings: Settings) -> None:
    with supervisor_lock(settings.redis) as mine:
        assert mine is not None
        with supervisor_lock(settings.redis) as other:
            assert other is None
        mine.extend()
    with supervisor_lock(settings.redis) as again:
        assert again is not None


def test_supervisor_lock_is_renewed_while_its_block_runs(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_log_module, "LOCK_MS", 400)
    monkeypatch.setattr(decision_log_module, "RENEW_INTERVAL_S", 0.05)
    with supervisor_lock(settings.redis) as mine, redis.Redis.from_url(settings.redis.url.reveal()) as client:
        assert mine is not None
        # A caller that waits for longer than the lease still finds the lock taken, by the same owner.
        token = client.get(redis_keys.supervisor_lease())
        for _ in range(3):
            client.blpop(["nothing comes"], timeout=0.4)
            assert client.get(redis_keys.supervisor_lease()) == token


def test_require_supervisor_lock_while_another_owns_it_raises(settings: Settings) -> None:
    changed = pytest.raises(TransientError, match="is being changed by supervise_stream")
    with supervisor_lock(settings.redis), changed, require_supervisor_lock(settings.redis):
        raise AssertionError("two act at once")


def test_require_supervisor_lock_without_redis_raises(settings: Settings) -> None:
    unavailable = settings.replace(redis={"url": Secret("redis://127.0.0.1:1/0")})
    with pytest.raises(TransientError, match="Redis is unavailable"), require_supervisor_lock(unavailable.redis):
        raise AssertionError("nobody may act without the lock")


def test_job_id_is_the_same_until_it_is_spent(settings: Settings) -> None:
    with supervisor_lock(settings.redis) as turn:
        assert turn is not None
        first = turn.job_id()
        turn.spend("0" * 32)
        assert turn.job_id() == first
        turn.spend(first)
        second = turn.job_id()
    assert second != first
    assert len(second) == len(bytes.fromhex(second)) * 2 == 32


def test_decision_log_appends_a_repeat_once_a_minute(settings: Settings) -> None:
    record = observe_and_decide(settings, state_folder(settings.local))
    with DecisionLog(settings.redis) as decision_log:
        assert decision_log.append(record)
        assert not decision_log.append(DecisionRecord(record.at + 30, record.observation, record.decision))
        assert decision_log.append(DecisionRecord(record.at + 61, record.observation, record.decision))
        assert decision_log.append(DecisionRecord(record.at + 62, record.observation, record.decision, is_restart=True))
        assert decision_log.restarts_since(record.at) == [record.at + 62]
        with redis.Redis.from_url(settings.redis.url.reveal()) as client:
            client.xadd(redis_keys.decisions(), {"record": b"\xff of another version"})
        assert len(decision_log.last(10)) == 3
        assert len(decision_log.restarts_since(record.at - 60)) == 2


def test_alert_manager_alert_and_recovery_are_sent_once(settings: Settings) -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(500 if len(sent) == 1 else 200)

    hooked = settings.replace(supervise={"alert_webhook": Secret("http://hook.example/secret")})
    with AlertManager(hooked, httpx.MockTransport(answer)) as manager:
        alert = ("stream.no_job", "the job is gone", "why", "do this")
        assert manager.fire(*alert)
        assert manager.fire(*alert)  # the webhook did not accept the first message
        assert not manager.fire(*alert)
        assert manager.resolve("stream.no_job", "gate.heartbeat_missing") == ["stream.no_job"]
        assert manager.resolve("stream.no_job") == []
    assert [b'"recovered"' in request.content for request in sent] == [False, False, True]


def test_decision_without_redis_does_not_restart(settings: Settings) -> None:
    unavailable = settings.replace(redis={"url": Secret("redis://127.0.0.1:1/0")})
    record = observe_and_decide(unavailable, state_folder(settings.local))
    assert isinstance(record.observation.gate, Unavailable)
    assert not record.decision.should_restart
    assert record.decision.action != "healthy"
