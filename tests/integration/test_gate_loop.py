"""The gate process on a real Kafka and Redis: invalid input, waits, draining, failed starts."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psutil
import pytest
import redis
from kafka import KafkaProducer

from include.contracts import topics
from include.contracts.reject_reasons import Reason
from include.contracts.setting import Secret
from include.contracts.settings import Settings
from include.gate.batch_processor import PREFIX_BYTES
from local.project import ROOT
from local.stack import Stack
from local.verification.count_check import Baseline, header_text, read_since, take_baseline
from tests.bad_records import BAD
from tests.polling import eventually
from tests.sessions import encoded

NOW = datetime.now(UTC).isoformat()
CLOCKS = ("two days ahead", "year 1", "year 9999")
INDEX = "7"


@contextmanager
def gate(settings: Settings) -> Iterator["subprocess.Popen[str]"]:
    """A gate process of this test; killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "include.gate", "--index", INDEX],
        cwd=ROOT,
        env=os.environ | settings.to_env() | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def produce(settings: Settings, records: list[tuple[bytes | None, bytes | None]]) -> None:
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers, max_request_size=topics.MAX_MESSAGE_BYTES
    )
    for key, value in records:
        producer.send(topics.RAW, key=key, value=value, partition=0).get(timeout=30)
    producer.close()


def retained_bytes(value: bytes, reason: Reason) -> bytes:
    """Return the bytes of a record that the gate stores in a rejection."""
    return value[:PREFIX_BYTES] if reason is Reason.TOO_LONG else value


def valid_since(settings: Settings, since: Baseline) -> list[bytes]:
    return [record.value for record in read_since(settings.kafka, topics.VALID, since)]


def test_invalid_records_are_rejected_and_gate_continues(stack: Stack) -> None:
    settings = stack.settings
    since = take_baseline(settings)
    bad = [(b"u-4711", value, reason) for name, value, reason in BAD if name not in CLOCKS]
    keys: list[tuple[bytes | None, bytes]] = [(None, encoded()), (b"someone else", encoded())]
    good = (b"u-4711", encoded(session_id="after-the-bad", started_at=NOW))
    produce(settings, [*((key, value) for key, value, _ in bad), *keys, good])
    with gate(settings):
        eventually(lambda: valid_since(settings, since), within_s=60)
    rejected = [
        (record.key, record.value, header_text(record, topics.HEADER_REASON))
        for record in read_since(settings.kafka, topics.REJECTED, since)
    ]
    assert rejected == [
        *((key, retained_bytes(value or b"", reason), str(reason)) for key, value, reason in bad),
        *((key, value, "wrong_key") for key, value in keys),
    ]


def test_gate_waits_for_hanging_redis_and_loses_nothing(stack: Stack) -> None:
    settings = stack.settings
    since = take_baseline(settings)
    redis_server = psutil.Process(stack.pid("redis"))
    with gate(settings):
        produce(settings, [(b"u-1", encoded(user_id="u-1", session_id="before", started_at=NOW))])
        eventually(lambda: len(valid_since(settings, since)) == 1, within_s=60)
        redis_server.suspend()
        try:
            produce(settings, [(b"u-2", encoded(user_id="u-2", session_id="meanwhile", started_at=NOW))])
            with pytest.raises(AssertionError):
                eventually(lambda: len(valid_since(settings, since)) == 2, within_s=4)
        finally:
            redis_server.resume()
        eventually(lambda: len(valid_since(settings, since)) == 2, within_s=60)


def test_gate_with_a_full_redis_waits_and_loses_nothing(stack: Stack) -> None:
    settings = stack.settings
    since = take_baseline(settings)
    with redis.Redis.from_url(settings.redis.url.reveal()) as client, gate(settings):

        def refusals() -> int:
            return int(client.info("errorstats").get("errorstat_OOM", {}).get("count", 0))

        produce(settings, [(b"u-1", encoded(user_id="u-1", session_id="before-full", started_at=NOW))])
        eventually(lambda: len(valid_since(settings, since)) == 1, within_s=60)
        limit, before = client.config_get("maxmemory")["maxmemory"], refusals()
        client.config_set("maxmemory", 1)
        try:
            produce(settings, [(b"u-2", encoded(user_id="u-2", session_id="while-full", started_at=NOW))])
            eventually(lambda: refusals() >= before + 3, within_s=60)
            assert len(valid_since(settings, since)) == 1
        finally:
            client.config_set("maxmemory", limit)
        eventually(lambda: len(valid_since(settings, since)) == 2, within_s=60)


def test_terminated_gate_drains_and_leaves_the_group(stack: Stack) -> None:
    settings = stack.settings
    since = take_baseline(settings)
    sessions = 3_000
    records: list[tuple[bytes | None, bytes | None]] = [
        (f"d-{n}".encode(), encoded(user_id=f"d-{n}", session_id=f"drain-{n}", started_at=NOW, ip=None))
        for n in range(sessions)
    ]
    producer = KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers)
    for key, value in records:
        producer.send(topics.RAW, key=key, value=value, partition=0)
    producer.close()
    with gate(settings) as process:
        eventually(lambda: valid_since(settings, since), within_s=60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    with gate(settings):
        eventually(lambda: len(valid_since(settings, since)) >= sessions, within_s=60)
    assert len(valid_since(settings, since)) == len(set(valid_since(settings, since))) == sessions


def test_without_a_key_the_gate_refuses_to_start(stack: Stack) -> None:
    with gate(stack.settings.replace(gate={"pseudonym_key": Secret("")})) as process:
        _, message = process.communicate(timeout=30)
    assert process.returncode == 2
    assert message.startswith("gate: SHOWROOM_GATE_PSEUDONYM_KEY is missing")
    assert message.count("\n") == 1
