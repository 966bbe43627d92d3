"""The gate with hung servers, lost offsets, recreated topics, malicious records, and a second process."""

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime

import psutil
import pytest
import redis
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.structs import TopicPartition as Place

from include.contracts import redis_keys, topics
from include.contracts.errors import TerminalError
from include.contracts.offset_gap import OffsetGap, ResumeFrom, decode_gap
from include.contracts.settings import Settings
from include.gate.batch_processor import PREFIX_BYTES, Output
from include.gate.gaps import GapStore
from include.gate.sink import OversizeError, TransactionSink
from include.provision.topics import ensure_topics
from include.supervise.probes import probe_gate
from local.stack import Stack
from tests.gate_process import Reader, gate, produce
from tests.polling import eventually
from tests.sessions import encoded

NOW = datetime.now(UTC).isoformat()
SHUTDOWN_LIMIT_S = 10.0


def session(session_id: str) -> bytes:
    return encoded(session_id=session_id, user_id=session_id, started_at=NOW, ip=None)


def drain(settings: Settings) -> None:
    """Let a gate process all records of earlier tests, so that committed offsets exist."""
    reader = Reader(settings)
    marks = [f"mark-{time.time_ns()}-{number}" for number in range(settings.kafka.partitions)]
    for number, mark in enumerate(marks):
        produce(settings, [session(mark)], partition=number)
    with gate(settings) as process:
        eventually(lambda: set(marks) <= set(reader.valid_ids()), within_s=60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def stopped(settings: Settings, partition: int) -> OffsetGap | None:
    with redis.Redis.from_url(settings.redis.url.reveal()) as client:
        return GapStore(client).stopped([partition]).get(partition)


def resume(settings: Settings, partition: int, start: ResumeFrom = "earliest") -> None:
    with redis.Redis.from_url(settings.redis.url.reveal()) as client:
        GapStore(client).request_resume(partition, start)


def end_offset(settings: Settings, partition: int) -> int:
    consumer = Consumer({"bootstrap.servers": settings.kafka.bootstrap_servers, "group.id": "none"})
    try:
        return consumer.get_watermark_offsets(TopicPartition(topics.RAW, partition), timeout=10)[1]
    finally:
        consumer.close()


def admin(settings: Settings, work: Callable[[KafkaAdminClient], object]) -> None:
    client = KafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers)
    try:
        work(client)
    finally:
        client.close()


def limit_messages(settings: Settings, topic: str, size: int) -> None:
    config = ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": str(size)})
    admin(settings, lambda client: client.alter_configs([config]))


@pytest.mark.parametrize("server", ["kafka", "redis"])
def test_terminated_gate_ends_within_ten_seconds_when_server_hangs(stack: Stack, server: str) -> None:
    settings, reader = stack.settings, Reader(stack.settings)
    hung = psutil.Process(stack.pid(server))
    with gate(settings) as process:
        produce(settings, [session(f"before-{server}")])
        eventually(lambda: f"before-{server}" in reader.valid_ids(), within_s=60)
        hung.suspend()
        try:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=SHUTDOWN_LIMIT_S)
        finally:
            hung.resume()


def test_hung_broker_delays_the_gate_and_loses_nothing(stack: Stack) -> None:
    settings, reader = stack.settings, Reader(stack.settings)
    broker = psutil.Process(stack.pid("kafka"))
    ids = [f"hung-{number}" for number in range(3_000)]
    produce(settings, map(session, ids))
    with gate(settings):
        eventually(lambda: any(result.startswith("hung-") for result in reader.valid_ids()), within_s=60, every_s=0.01)
        broker.suspend()
        with pytest.raises(AssertionError):
            eventually(lambda: False, within_s=12)
        broker.resume()
        eventually(lambda: len(reader.valid_ids()) >= len(ids), within_s=60)
    assert sorted(reader.valid_ids()) == sorted(ids)


def test_expired_offsets_stop_one_partition_until_resumed(stack: Stack) -> None:
    settings = stack.settings
    drain(settings)
    reader, position = Reader(settings), end_offset(settings, 0)
    produce(settings, [session(f"expired-{number}") for number in range(5)], partition=0)
    produce(settings, [session("other partition")], partition=1)
    admin(settings, lambda client: client.delete_records({Place(topics.RAW, 0): position + 3}))
    with gate(settings):
        eventually(lambda: reader.valid_ids() == ["other partition"], within_s=60)
        gap = eventually(lambda: stopped(settings, 0))
        assert gap is not None
        assert (gap.kind, gap.from_offset, gap.to_offset) == ("expired", position, position + 3)
        assert probe_gate(settings).stopped == {0: gap.description}
        resume(settings, 0)
        eventually(lambda: len(reader.valid_ids()) == 3, within_s=60)
    assert sorted(reader.valid_ids()) == ["expired-3", "expired-4", "other partition"]
    assert stopped(settings, 0) is None
    with redis.Redis.from_url(settings.redis.url.reveal()) as client:
        (last,) = client.lrange(redis_keys.gaps(0), -1, -1)
    assert decode_gap(last).resumed_offset == position + 3


@pytest.mark.parametrize("start", ["gap", "earliest"])
def test_truncated_log_stops_the_partition_and_readmits_nothing(stack: Stack, start: ResumeFrom) -> None:
    settings = stack.settings
    drain(settings)
    reader, position = Reader(settings), end_offset(settings, 0)
    commit_as_gate(settings, position + 50)
    with gate(settings):
        gap = eventually(lambda: stopped(settings, 0), within_s=60)
        assert gap is not None
        assert (gap.kind, gap.from_offset, gap.to_offset) == ("truncated", position, position + 50)
        produce(settings, [session(f"after the truncation, from {start}")], partition=0)
        resume(settings, 0, start)
        eventually(reader.valid_ids, within_s=60)
    # From the earliest offset on, the log's sessions are duplicates, whatever their offsets.
    assert reader.valid_ids() == [f"after the truncation, from {start}"]
    assert (start == "gap") is not bool(reader.rejected())


def commit_as_gate(settings: Settings, offset: int) -> None:
    """Change the committed offset of partition 0 as the former member of the group."""
    config = {
        "bootstrap.servers": settings.kafka.bootstrap_servers,
        "group.id": topics.GATE_GROUP,
        "group.instance.id": "gate-7",
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
    }
    consumer = Consumer(config)
    consumer.subscribe([topics.RAW])
    try:
        eventually(lambda: consumer.poll(0.1) or consumer.assignment(), within_s=30)
        consumer.commit(offsets=[TopicPartition(topics.RAW, 0, offset)], asynchronous=False)
    finally:
        consumer.close()


def test_recreated_topic_under_running_gate_is_read_from_its_beginning(stack: Stack) -> None:
    settings, reader = stack.settings, Reader(stack.settings)
    client = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    with gate(settings):
        produce(settings, [session("in the old topic")])
        eventually(lambda: "in the old topic" in reader.valid_ids(), within_s=60)
        client.delete_topics([topics.RAW])[topics.RAW].result(30)
        eventually(lambda: topics.RAW not in client.list_topics(timeout=5).topics)
        ensure_topics(settings.kafka)
        produce(settings, [session(f"in the new topic {number}") for number in range(3)])
        eventually(lambda: len(reader.valid_ids()) >= 4, within_s=60)
        produce(settings, [session("in the old topic")])
        eventually(reader.rejected, within_s=60)
    assert sorted(reader.valid_ids()) == [*(f"in the new topic {number}" for number in range(3)), "in the old topic"]
    assert [reason for reason, _ in reader.rejected()] == ["duplicate"]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_oversize_records_get_verdicts(stack: Stack, codec: str) -> None:
    settings, reader = stack.settings, Reader(stack.settings)
    bombs = [b"x" * 5_000_000, b"y" * 9_000_000]
    for bomb in bombs:
        produce(settings, [bomb], config={"compression.type": codec})
    produce(settings, [session(f"after {codec}")])
    with gate(settings):
        eventually(lambda: f"after {codec}" in reader.valid_ids(), within_s=60)
    retained = [record.value for record in reader.records(topics.REJECTED)]
    assert retained == [bomb[:PREFIX_BYTES] for bomb in bombs]
    assert [(reason, result["length"], result["sha256"]) for reason, result in reader.rejected()] == [
        ("too_long", str(len(bomb)), hashlib.sha256(bomb).hexdigest()) for bomb in bombs
    ]


def test_unusual_batches_keys_headers_and_clocks_get_verdicts(stack: Stack) -> None:
    settings, reader = stack.settings, Reader(stack.settings)
    tiny = 10_000
    produce(settings, [b"{}"] * tiny, config={"batch.num.messages": tiny, "linger.ms": 500})
    produce(settings, [b"{}"], key=b"k" * 3_000_000)
    produce(settings, [session("big header")], headers=[("h", b"h" * 1_000_000)])
    produce(settings, [session("year 2100")], timestamp=4_102_444_800_000)
    produce(settings, [session("year 1970")], timestamp=1)
    # Another partitioner assigns the same user to another partition.
    produce(settings, [session("other partitioner")], partition=1)
    expected = {"big header", "year 2100", "year 1970", "other partitioner"}
    with gate(settings):
        eventually(lambda: expected <= set(reader.valid_ids()), within_s=60)
        eventually(lambda: len(reader.rejected()) >= tiny + 1, within_s=60)
    assert sorted(reader.valid_ids()) == sorted(expected)
    assert {reason for reason, _ in reader.rejected()} == {"unknown_version"}
    assert [result["key_length"] for _, result in reader.rejected() if "key_length" in result] == ["3000000"]


def test_second_gate_on_one_index_is_refused_and_first_continues(stack: Stack) -> None:
    settings, reader = stack.settings, Reader(stack.settings)
    with gate(settings) as first:
        produce(settings, [session("before the second")])
        eventually(lambda: "before the second" in reader.valid_ids(), within_s=60)
        with gate(settings) as second:
            _, stderr = second.communicate(timeout=30)
        assert second.returncode == 1
        assert stderr.splitlines()[-1].startswith("gate: start of gate 7 failed: index in use by")
        produce(settings, [session("after the second")])
        eventually(lambda: "after the second" in reader.valid_ids(), within_s=60)
        assert first.poll() is None


def test_fenced_gate_with_its_lease_continues(stack: Stack) -> None:
    settings, reader = stack.settings, Reader(stack.settings)
    with gate(settings) as process:
        produce(settings, [session("before the fence")])
        eventually(lambda: "before the fence" in reader.valid_ids(), within_s=60)
        # The effect of a late request of a producer that the gate has discarded.
        TransactionSink(settings.kafka.bootstrap_servers, "gate-7").open()
        produce(settings, [session("behind the fence")])
        eventually(lambda: "behind the fence" in reader.valid_ids() or process.poll() is not None, within_s=60)
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "fenced by a late request of its own" in stderr
    assert reader.valid_ids() == ["before the fence", "behind the fence"]


def test_fenced_gate_without_its_lease_ends_with_one_line(stack: Stack) -> None:
    settings, reader = stack.settings, Reader(stack.settings)
    with gate(settings) as process, redis.Redis.from_url(settings.redis.url.reveal()) as client:
        produce(settings, [session("before the loss")])
        eventually(lambda: "before the loss" in reader.valid_ids(), within_s=60)
        client.set(redis_keys.gate_lease(7), "elsewhere:1:other", px=60_000)
        TransactionSink(settings.kafka.bootstrap_servers, "gate-7").open()
        produce(settings, [session("behind the loss")])
        _, stderr = process.communicate(timeout=30)
        assert process.returncode == 1
        assert stderr.splitlines()[-1].startswith("gate: gate 7 was replaced by another process")
        assert client.get(redis_keys.gate_lease(7)) == b"elsewhere:1:other"
        client.delete(redis_keys.gate_lease(7))
    with gate(settings):
        eventually(lambda: "behind the loss" in reader.valid_ids(), within_s=60)
    assert len(reader.valid_ids()) == 2


def test_sink_with_undelivered_record_commits_no_offsets(stack: Stack) -> None:
    settings = stack.settings
    limit_messages(settings, topics.VALID, 1_000)
    sink = TransactionSink(settings.kafka.bootstrap_servers, "gate-8")
    group = Consumer({"bootstrap.servers": settings.kafka.bootstrap_servers, "group.id": "undelivered"})
    topic_partition = TopicPartition(topics.RAW, 0, 1)
    try:
        sink.open()
        record = Output(topics.VALID, 0, b"k", os.urandom(10_000), [], (0, 0))
        with pytest.raises(OversizeError):
            sink.commit([record], [topic_partition], group.consumer_group_metadata())
        (committed,) = group.committed([TopicPartition(topics.RAW, 0)], timeout=10)
        assert committed.offset < 0
    finally:
        limit_messages(settings, topics.VALID, topics.MAX_MESSAGE_BYTES)
        group.close()


def test_output_refused_by_the_broker_becomes_a_rejection(stack: Stack) -> None:
    settings, reader = stack.settings, Reader(stack.settings)
    reviews = [
        {
            "product_id": f"p{n}",
            "name": None,
            "category": None,
            "price": 1.0,
            "seconds": 1,
            "review": hashlib.sha256(b"%d" % n).hexdigest() * 20,
        }
        for n in range(30)
    ]
    limit_messages(settings, topics.VALID, 2_000)
    try:
        with gate(settings) as process:
            large = json.loads(session("too large for the topic")) | {"views": reviews}
            produce(settings, [json.dumps(large).encode(), session("small enough")])
            eventually(lambda: "small enough" in reader.valid_ids(), within_s=60)
            eventually(reader.rejected, within_s=60)
            produce(settings, [session("behind it")])
            eventually(lambda: "behind it" in reader.valid_ids(), within_s=60)
            process.send_signal(signal.SIGTERM)
            _, stderr = process.communicate(timeout=30)
    finally:
        limit_messages(settings, topics.VALID, topics.MAX_MESSAGE_BYTES)
    assert [reason for reason, _ in reader.rejected()] == ["too_long"]
    assert reader.valid_ids() == ["small enough", "behind it"]
    assert "full batches are possible again" in stderr


def test_resume_of_reading_partition_is_refused(stack: Stack) -> None:
    with pytest.raises(TerminalError, match="not stopped"):
        resume(stack.settings, 1)
