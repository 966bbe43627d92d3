"""The gate's guarantees on the real Kafka and Redis, and the equivalence of the in-memory state."""

import random
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
from confluent_kafka import Consumer, TopicPartition

from include.contracts import topics
from include.contracts.reject_reasons import Reason
from include.gate import source
from include.gate.batch_processor import Output as GateOutput
from include.gate.gaps import GapStore
from include.gate.shutdown import ShutdownSignal
from include.gate.sink import OversizeError, TransactionSink
from include.gate.source import Polled, RecordSource
from include.gate.state import Batch, GateState, Row, refused_row
from include.gate.topic import RawTopic
from local.stack import Stack
from tests.gate_harness import NOW, GateKafka, MemoryGaps, RealKafka, session
from tests.gate_process import produce
from tests.gate_promises import STEPS, GatePromises
from tests.in_memory_state import InMemoryState, PartitionState
from tests.polling import eventually

DAY = NOW[:10]
RECEIVED_MS = 1_795_421_800_000
FULL_BATCH = 5_000


@pytest.fixture
def kafka(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> RealKafka:
    return RealKafka(stack.settings, monkeypatch)


class TestGateOnKafka(GatePromises):
    """All guarantees, on the test stack. Crashes in the second transaction are left to the broker in memory."""

    @pytest.mark.parametrize("transaction", [1])
    @pytest.mark.parametrize("step", STEPS)
    def test_crash_at_any_step_leaves_one_output_with_the_first_verdict(
        self, kafka: GateKafka, step: str, transaction: int
    ) -> None:
        super().test_crash_at_any_step_leaves_one_output_with_the_first_verdict(kafka, step, transaction)


def random_row(random_: random.Random, offset: int, prefix: str) -> Row:
    """Return a row with frequent sessions and users; a redelivered offset has the same row."""
    if random_.random() < 0.2:
        return refused_row(offset, Reason.EMPTY)
    session_id, user = f"{prefix}-s{random_.randrange(40)}", f"{prefix}-u{random_.randrange(60)}"
    flags = [random_.random() < share for share in (0.1, 0.2, 0.2)]
    return (offset, session_id, user, "", random_.randrange(10_000), DAY, RECEIVED_MS + offset, *flags)


@pytest.mark.parametrize("seed", range(20))
def test_state_in_memory_gives_the_verdicts_of_the_redis_function(stack: Stack, seed: int) -> None:
    chance, prefix = random.Random(seed), f"{NOW}-{seed}"
    partition = 100 + seed
    rows = [random_row(chance, offset, prefix) for offset in range(120)]
    partitions: dict[int, PartitionState] = {}
    start = 0
    while start < len(rows):
        end = min(len(rows), start + chance.randrange(1, 15))
        topic_id = prefix
        real = GateState(stack.settings, topic_id, ShutdownSignal())
        twin = InMemoryState(topic_id, partitions)
        batch = Batch(partition, rows[start:end])
        assert twin.decide([batch]) == real.decide([batch])
        real.close()
        # Sometimes a process crashed before its commit, and the batch is redelivered with more or fewer records.
        start = end if chance.random() < 0.6 else max(0, start - chance.randrange(3))


def test_records_polled_around_a_rebalance_are_polled_again(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, topic_id = stack.settings, RawTopic(stack.settings.kafka.bootstrap_servers, "test").id()
    for partition in range(2):
        produce(settings, [session()], partition)

    def open_source(name: str) -> RecordSource:
        return RecordSource(settings.kafka.bootstrap_servers, name, 10, topic_id, cast(GapStore, MemoryGaps()))

    first, polled = open_source("gate-21"), list[Polled]()

    def is_reading_both() -> bool:
        polled.extend(record for group in first.poll(10) for record in group)
        return {record.partition for record in polled} == {0, 1}

    eventually(is_reading_both)
    # One poll that outlasts the rebalance, so that it also receives records of the new assignment.
    monkeypatch.setattr(source, "POLL_S", 10.0)
    with ThreadPoolExecutor(2) as executor:
        around = executor.submit(first.poll, 10)
        second = open_source("gate-22")
        other = executor.submit(second.poll, 10)
        eventually(lambda: len(first.assigned) == len(second.assigned) == 1)
        assert around.result(30) == []
        monkeypatch.setattr(source, "POLL_S", 1.0)
        (partition,) = first.assigned
        again = eventually(lambda: [record for group in first.poll(10) for record in group])
        other.result(30)
    first.close()
    second.close()
    assert again[0].offset == min(record.offset for record in polled if record.partition == partition)
    RealKafka(settings, monkeypatch)  # its gate decides the records, which the next test would read otherwise


@pytest.mark.parametrize("single", [False, True])
def test_commit_with_an_oversize_record_ahead_of_a_full_batch_names_it(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, single: bool
) -> None:
    """Its error aborts the transaction while thousands of records are still being produced."""
    servers = stack.settings.kafka.bootstrap_servers
    group = Consumer({"bootstrap.servers": servers, "group.id": "test-oversize"}).consumer_group_metadata()
    kafka = RealKafka(stack.settings, monkeypatch)
    kafka.limit_bytes(topics.VALID, 2_000)
    try:
        for attempt in range(5):
            outputs = [
                gate_output(number, 5_000 if number == 0 else 900, partition=number % 2) for number in range(FULL_BATCH)
            ]
            sink = TransactionSink(servers, f"test-oversize-{single}-{attempt}", single=single)
            sink.open()
            with pytest.raises(OversizeError) as caught:
                sink.commit(outputs, [TopicPartition(topics.RAW, 0, 1)], group)
            sink.discard()
            assert [output.origin for output in caught.value.outputs] == ([(0, 0)] if single else [])
    finally:
        kafka.limit_bytes(topics.VALID, topics.MAX_MESSAGE_BYTES)


def gate_output(number: int, size: int, *, partition: int) -> GateOutput:
    """An output of incompressible bytes."""
    value, origin = random.Random(number).randbytes(size), (partition, number)
    return GateOutput(
        topics.VALID, partition, b"%d" % number, value, [(topics.HEADER_ORIGIN, b"%d:%d" % origin)], origin
    )
