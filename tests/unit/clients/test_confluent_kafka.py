"""Which errors of confluent-kafka are translated, and the options of its clients."""

from functools import partial
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from include.clients import confluent_kafka
from include.clients.confluent_kafka import create_admin, create_consumer, create_producer, translate_errors
from include.contracts.errors import TransientError
from include.contracts.topics import MAX_MESSAGE_BYTES

BROKERS = "127.0.0.1:9,127.0.0.1:10"
CONNECTION = {
    "bootstrap.servers": BROKERS,
    "client.id": "gate-0",
    "reconnect.backoff.ms": 100,
    "reconnect.backoff.max.ms": 1_000,
    "socket.timeout.ms": 10_000,
    "socket.keepalive.enable": True,
    "allow.auto.create.topics": False,
    "logger": confluent_kafka.log,
}


@pytest.fixture(autouse=True)
def options(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """Options of the clients by class; no client connects."""
    seen: dict[str, dict[str, Any]] = {}

    def record(name: str, config: dict[str, Any]) -> None:
        seen[name] = config

    for name in ("Consumer", "Producer", "AdminClient"):
        monkeypatch.setattr(confluent_kafka, name, partial(record, name))
    return seen


def test_translate_errors_with_client_error_names_broker_reason_and_remedy() -> None:
    with pytest.raises(TransientError) as raised, translate_errors("read sessions.raw", BROKERS):
        raise KafkaException(KafkaError(KafkaError._TRANSPORT, "lost"))
    assert raised.value.message == f"read sessions.raw failed: Kafka at {BROKERS} is unavailable (lost)"
    assert raised.value.remedy == "check that it runs: ./showroom status"


@pytest.mark.parametrize("error", [KafkaException("no id"), KafkaException()])
def test_translate_errors_with_error_without_code_raises_transient_error(error: KafkaException) -> None:
    with pytest.raises(TransientError) as raised, translate_errors("a test", BROKERS, "see its log"):
        raise error
    assert raised.value.remedy == "see its log"
    assert raised.value.__cause__ is error


def test_translate_errors_with_error_of_the_code_passes_it_on() -> None:
    with pytest.raises(KeyError), translate_errors("a test", BROKERS):
        raise KeyError("a bug")


def test_create_consumer_commits_nothing_and_reads_committed_records(options: dict[str, dict[str, Any]]) -> None:
    create_consumer(BROKERS, "gate-0", {"group.id": "gate"})
    assert options["Consumer"] == {
        **CONNECTION,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "group.id": "gate",
    }


def test_create_producer_keeps_the_options_of_its_caller(options: dict[str, dict[str, Any]]) -> None:
    create_producer(BROKERS, "gate-0", {"linger.ms": 2, "client.id": "other"})
    assert options["Producer"] == {
        **CONNECTION,
        "acks": "all",
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "linger.ms": 2,
        "client.id": "other",
    }


def test_create_admin_reconnects_within_a_second(options: dict[str, dict[str, Any]]) -> None:
    create_admin(BROKERS, "gate-0")
    assert options["AdminClient"] == CONNECTION
