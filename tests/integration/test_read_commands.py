"""Read-only commands of the runbooks: offsets, dead letters and decisions, on real servers."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from typer.testing import CliRunner

from cli.app import build
from include.contracts.dead_letters import DeadLetter, Origin
from include.contracts.settings import KafkaSettings, LocalSettings, Settings
from include.contracts.topics import DEAD, STREAM_GROUP, VALID
from include.supervise.decision_log import DecisionLog, DecisionRecord
from include.supervise.observation import Observation, Unavailable
from include.supervise.policy import Decision
from local.stack import Stack
from tests.locking import turn

OFFSET = 1_700


@pytest.fixture(scope="module")
def small_stack() -> Iterator[Stack]:
    """A Kafka and a Redis for these tests only, because their records would disturb the shared stream."""
    stack = Stack(
        Settings(
            local=LocalSettings(state_dir=Path(".showroom/test-read"), port_offset=OFFSET),
            kafka=KafkaSettings(partitions=2),
        )
    )
    with turn(stack.settings):
        stack.purge()
        try:
            stack.up(("kafka", "redis"))
            yield stack
        finally:
            stack.down()


@pytest.fixture
def live(small_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return the stack's settings, which the commands read from the environment."""
    for name, value in small_stack.settings.to_env().items():
        monkeypatch.setenv(name, value)
    return small_stack.settings


def run(*arguments: str) -> str:
    result = CliRunner().invoke(build(), arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_stream_offsets_show_committed_and_unread_records(live: Settings) -> None:
    partition = TopicPartition(VALID, 1)
    producer = KafkaProducer(bootstrap_servers=live.kafka.bootstrap_servers)
    newest = [producer.send(VALID, value=b"{}", partition=1).get(timeout=10) for _ in range(3)][-1].offset
    producer.close()
    consumer = KafkaConsumer(
        bootstrap_servers=live.kafka.bootstrap_servers, group_id=STREAM_GROUP, enable_auto_commit=False
    )
    consumer.assign([partition])
    consumer.commit({partition: OffsetAndMetadata(newest - 1, "", -1)})
    consumer.close()

    output = run("stream", "offsets")

    assert f"partition 1: committed {newest - 1:,}, end {newest + 1:,}, not read 2\n" in output


def test_gate_offsets_without_a_gate_show_every_partition(live: Settings) -> None:
    output = run("gate", "offsets")
    assert all(f"partition {number}: committed " in output for number in range(live.kafka.partitions))


def test_dead_letters_are_shown_newest_first_without_their_documents(live: Settings) -> None:
    producer = KafkaProducer(bootstrap_servers=live.kafka.bootstrap_servers)
    for number in range(4):
        letter = DeadLetter(
            index="kpi_minute",
            id=f"id-{number}",
            reason=f"400 reason {number}",
            document="a document",
            truncated=False,
            origin=Origin(topic=VALID, partition=0, offset=number),
        )
        producer.send(DEAD, value=msgspec.json.encode(letter), partition=number % 2).get(timeout=10)
        time.sleep(0.005)  # the order of two partitions is that of their timestamps
    producer.close()

    output = run("stream", "dead-letters", "--last", "3")

    reasons = [line.strip() for line in output.splitlines() if line.startswith("    ")]
    assert reasons == ["400 reason 3", "400 reason 2", "400 reason 1"]
    assert "kpi_minute  sessions.valid[0]@3" in output
    assert "a document" in run("stream", "dead-letters", "--last", "1", "--document")


def test_supervise_decisions_are_shown_newest_first(live: Settings) -> None:
    unavailable = Unavailable("no server")
    now = time.time() - 200
    observation = Observation(now, unavailable, unavailable, unavailable, unavailable, unavailable, None)
    with DecisionLog(live.redis) as log:
        for number, reason in enumerate(("first reason", "second reason")):
            decision = Decision("page", "stream.no_job", reason, "a remedy")
            log.append(DecisionRecord(now + 100 * number, observation, decision))

    output = run("supervise", "--decisions", "2")

    assert output.index("second reason") < output.index("first reason")
    assert "page stream.no_job\n" in output
