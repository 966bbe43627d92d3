"""Which errors of kafka-python are translated, and the options of its clients."""

from functools import partial
from typing import Any

import pytest
from kafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from include.clients import kafka
from include.clients.kafka import create_admin, create_consumer, create_producer, translate_errors
from include.contracts.errors import TransientError
from include.contracts.topics import MAX_MESSAGE_BYTES

BROKERS = "127.0.0.1:9,127.0.0.1:10"
CHECK = "check that it runs: ./showroom status"


@pytest.fixture(autouse=True)
def options(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """Options of the clients by class; no client connects."""
    seen: dict[str, dict[str, Any]] = {}

    def record(name: str, **config: Any) -> None:
        seen[name] = config

    for name in ("KafkaConsumer", "KafkaProducer", "KafkaAdminClient"):
        monkeypatch.setattr(kafka, name, partial(record, name))
    return seen


@pytest.mark.parametrize(
    "error",
    [KafkaConnectionError("lost"), KafkaTimeoutError("late"), ConnectionRefusedError("no")],
)
def test_translate_errors_with_lost_connection_names_broker_and_remedy(error: Exception) -> None:
    with pytest.raises(TransientError) as raised, translate_errors("read sessions.raw", BROKERS):
        raise error
    name = type(error).__name__
    assert raised.value.message == f"read sessions.raw failed: Kafka at {BROKERS} is unavailable ({name})"
    assert raised.value.remedy == CHECK
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("error", [OffsetOutOfRangeError("gone"), NoOffsetForPartitionError("none")])
def test_translate_errors_with_expired_offset_advises_another_run(error: Exception) -> None:
    with pytest.raises(TransientError, match="records expired") as raised, translate_errors("read", BROKERS):
        raise error
    assert raised.value.remedy == "run it again: it records the expired offsets and continues"


def test_translate_errors_with_action_uses_it() -> None:
    with pytest.raises(TransientError) as raised, translate_errors("a test", BROKERS, "check that it runs"):
        raise KafkaTimeoutError("late")
    assert raised.value.remedy == "check that it runs"


def test_translate_errors_with_error_of_the_code_passes_it_on() -> None:
    with pytest.raises(KeyError), translate_errors("a test", BROKERS):
        raise KeyError("a bug")


def test_create_consumer_commits_nothing_and_reads_committed_records(options: dict[str, dict[str, Any]]) -> None:
    create_consumer(BROKERS)
    assert options["KafkaConsumer"] == {
        "bootstrap_servers": ["127.0.0.1:9", "127.0.0.1:10"],
        "group_id": None,
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "allow_auto_create_topics": False,
        "max_partition_fetch_bytes": MAX_MESSAGE_BYTES,
        "metrics_enabled": False,
    }


def test_create_consumer_keeps_the_options_of_its_caller(options: dict[str, dict[str, Any]]) -> None:
    create_consumer(BROKERS, group="g", isolation_level="read_uncommitted", auto_offset_reset="none", client_id="c")
    config = options["KafkaConsumer"]
    assert (config["group_id"], config["isolation_level"]) == ("g", "read_uncommitted")
    assert (config["auto_offset_reset"], config["client_id"]) == ("none", "c")


def test_create_admin_without_bootstrap_limit_keeps_the_clients_own(options: dict[str, dict[str, Any]]) -> None:
    create_admin(BROKERS, request_ms=30_000)
    assert options["KafkaAdminClient"] == {
        "bootstrap_servers": ["127.0.0.1:9", "127.0.0.1:10"],
        "request_timeout_ms": 30_000,
    }
    create_admin(BROKERS, request_ms=2_000, bootstrap_ms=2_000)
    assert options["KafkaAdminClient"]["bootstrap_timeout_ms"] == 2_000


def test_create_producer_allows_the_largest_record(options: dict[str, dict[str, Any]]) -> None:
    create_producer(BROKERS, bootstrap_timeout_ms=3_000)
    assert options["KafkaProducer"] == {
        "bootstrap_servers": ["127.0.0.1:9", "127.0.0.1:10"],
        "max_request_size": MAX_MESSAGE_BYTES,
        "metrics_enabled": False,
        "bootstrap_timeout_ms": 3_000,
    }
