"""The gate's guarantees on an in-memory broker, and faults that only such a broker can show."""

import pytest

from include.contracts import topics
from include.contracts.setting import Secret
from include.contracts.settings import GateSettings, KafkaSettings, Settings
from tests.gate_harness import CrashError, MemoryKafka, Output, run_gate, session
from tests.gate_promises import GatePromises, produce_mixture
from tests.in_memory_kafka import CommitFault


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> MemoryKafka:
    settings = Settings(kafka=KafkaSettings(partitions=2), gate=GateSettings(pseudonym_key=Secret("k" * 32)))
    return MemoryKafka(settings, monkeypatch)


class TestGateInMemory(GatePromises):
    """All guarantees, without servers."""


def test_commit_without_answer_within_its_limit_is_settled_by_a_new_producer(kafka: MemoryKafka) -> None:
    expected = produce_mixture(kafka)
    kafka.broker.commit_faults = [CommitFault.RESPONSE_LOST]
    run_gate(kafka)
    assert sorted(kafka.outputs()) == sorted(expected)
    assert kafka.steps.counts["after init_transactions"] == 2


@pytest.mark.parametrize(
    ("step", "after", "fenced"),
    [
        ("before init_transactions", 1, 0),
        ("after init_transactions", 1, 1),
        ("before send_offsets_to_transaction", 1, 1),
    ],
)
def test_late_commit_counts_once_or_is_fenced(kafka: MemoryKafka, step: str, after: int, fenced: int) -> None:
    expected = produce_mixture(kafka)
    kafka.broker.commit_faults = [CommitFault.LATE]
    kafka.steps.on(step, kafka.broker.deliver_late, after=1)
    run_gate(kafka)
    assert sorted(kafka.outputs()) == sorted(expected)
    assert kafka.broker.fenced_commits == fenced


def test_copy_of_a_commit_never_ends_the_next_transaction(kafka: MemoryKafka) -> None:
    expected = produce_mixture(kafka)
    kafka.broker.commit_faults = [CommitFault.RESENT]
    kafka.steps.on("before send_offsets_to_transaction", kafka.broker.deliver_late, after=1)
    run_gate(kafka)
    assert sorted(kafka.outputs()) == sorted(expected)
    assert kafka.broker.fenced_commits == 1


@pytest.mark.parametrize("step", ["after consume", "after decide", "before send_offsets_to_transaction"])
def test_rebalance_between_poll_and_commit_repeats_the_batch(kafka: MemoryKafka, step: str) -> None:
    expected = produce_mixture(kafka)
    kafka.steps.on(step, kafka.broker.rebalance)
    run_gate(kafka)
    assert sorted(kafka.outputs()) == sorted(expected)


def test_records_of_a_deleted_topic_are_not_decided(kafka: MemoryKafka) -> None:
    kafka.produce([session()])
    new: list[Output] = []

    def recreate() -> None:
        kafka.broker.recreate_raw_topic()
        new.extend(Output(origin, "valid") for origin in kafka.produce([session(), session()]))

    kafka.steps.on("after consume", recreate)
    run_gate(kafka)
    assert sorted(kafka.outputs()) == sorted(new)


def test_open_transaction_hides_later_records_of_its_partition(kafka: MemoryKafka) -> None:
    kafka.produce([session()])
    kafka.steps.crash("after flush")
    with pytest.raises(CrashError):
        run_gate(kafka)
    assert kafka.broker.logs[topics.VALID, 0]
    assert kafka.outputs() == []
