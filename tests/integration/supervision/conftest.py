"""Fixtures: no stream and an empty decision log on the shared stack, and a new Kafka."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition

from include.clients.flink import FlinkRest
from include.contracts import redis_keys, topics
from include.contracts.settings import KafkaSettings, LocalSettings, Settings
from include.supervise.stream_job import cancel, running_job
from local.stack import Stack
from local.stream_job import state_folder, supervise_folder
from tests.locking import turn

OFFSET = 1_500
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def no_stream(stack: Stack) -> Iterator[Stack]:
    """The shared stack without a stream job and without restore points, before and after."""
    _lose_stream(stack.settings)
    stack.wait(["flink-taskmanager"])
    yield stack
    _lose_stream(stack.settings)


@pytest.fixture
def decision_log(stack: Stack) -> Settings:
    """Settings of the shared stack, whose decisions, alerts and lock are deleted."""
    with redis.Redis.from_url(stack.settings.redis.url.reveal()) as client:
        client.delete(redis_keys.decisions(), redis_keys.supervisor_lease(), *client.keys("{supervise}:alert:*"))
    shutil.rmtree(supervise_folder(stack.settings.local), ignore_errors=True)
    return stack.settings


@pytest.fixture(scope="module")
def broker() -> Iterator[Settings]:
    """A new Kafka for these tests only."""
    settings = Settings(
        local=LocalSettings(state_dir=Path(".showroom/test-hours"), port_offset=OFFSET),
        kafka=KafkaSettings(partitions=2),
    )
    stack = Stack(settings)
    with turn(settings):
        stack.purge()
        try:
            stack.up(("kafka",))
            yield settings
        finally:
            stack.down()


def commit_to_end(
    settings: Settings, group: str, topic: str, short: int = 0, partitions: tuple[int, ...] = (0,)
) -> None:
    """Commit for a group the end of a topic, except for the last offsets of some partitions."""
    reader = KafkaConsumer(bootstrap_servers=settings.kafka.bootstrap_servers, group_id=group, enable_auto_commit=False)
    try:
        topic_partitions = [TopicPartition(topic, number) for number in range(settings.kafka.partitions)]
        ends = reader.end_offsets(topic_partitions)
        for number in partitions:
            ends[topic_partitions[number]] -= short
        reader.assign(topic_partitions)
        reader.commit({topic_partition: OffsetAndMetadata(end, "", -1) for topic_partition, end in ends.items()})
    finally:
        reader.close()


def leave_gate(settings: Settings) -> None:
    """Skip this fixture's records of `sessions.raw` in the gate, because other tests use it."""
    commit_to_end(settings, topics.GATE_GROUP, topics.RAW)


def _lose_stream(settings: Settings) -> None:
    with FlinkRest(settings.flink) as flink:
        while running_job(flink) is not None:
            cancel(flink, PATIENCE_S)
    for folder in ("checkpoints", "savepoints"):
        shutil.rmtree(state_folder(settings.local) / folder, ignore_errors=True)
