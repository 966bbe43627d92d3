"""Guarantees of raw -> valid/rejected, as one suite for the in-memory broker and the real Kafka.

A test class inherits `GatePromises` and defines the fixture `kafka`. Faults that a real Kafka does not show at a given
moment are in tests/unit/gate/test_promises.py only.
"""

from collections.abc import Callable
from hashlib import sha256

import pytest
from confluent_kafka import KafkaError

from include.contracts import topics
from tests.gate_harness import CrashError, GateKafka, ImpatientStop, Output, raising, run_gate, session
from tests.in_memory_kafka import error_of
from tests.sessions import view

STEPS = (
    "after consume",
    "before decide",
    "after decide",
    "before begin_transaction",
    "after begin_transaction",
    "before produce",
    "after produce",
    "before flush",
    "after flush",
    "before send_offsets_to_transaction",
    "after send_offsets_to_transaction",
    "before commit_transaction",
    "after commit_transaction",
)
"""Every call between poll and commit. During the other calls, at the start, no transaction is open."""
ERRORS = (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError.COORDINATOR_NOT_AVAILABLE)


def produce_mixture(kafka: GateKafka) -> list[Output]:
    """Append valid, undecodable, empty and duplicate records to both partitions; return their outputs."""
    expected: list[Output] = []
    for partition in range(2):
        first, second = session(), session()
        values = [first, b"{broken", second, first, b"", session(clicks=9_999), session(), session()]
        verdicts = ["valid", "malformed_json", "valid", "duplicate", "empty", "impossible_pace", "valid", "valid"]
        origins = kafka.produce(values, partition)
        expected += [Output(origin, verdict) for origin, verdict in zip(origins, verdicts, strict=True)]
    return expected


def assert_consistent(kafka: GateKafka, before: dict[int, int]) -> None:
    """Assert that every partition has one output for each record below its committed offset, and none beyond it."""
    counts = {number: sum(output.origin[0] == number for output in kafka.outputs()) for number in before}
    committed = kafka.committed()
    assert counts == {number: committed[number] - before[number] for number in before}


class GatePromises:
    """Base class; pytest collects the classes that inherit it."""

    def test_record_has_exactly_one_output(self, kafka: GateKafka) -> None:
        expected = produce_mixture(kafka)
        run_gate(kafka)
        assert sorted(kafka.outputs()) == sorted(expected)

    @pytest.mark.parametrize("transaction", [1, 2])
    @pytest.mark.parametrize("step", STEPS)
    def test_crash_at_any_step_leaves_one_output_with_the_first_verdict(
        self, kafka: GateKafka, step: str, transaction: int
    ) -> None:
        before = kafka.committed()
        expected = produce_mixture(kafka)
        kafka.steps.crash(step, after=transaction - 1)
        with pytest.raises(CrashError, match=step):
            run_gate(kafka)
        # The next process may settle the transaction before it reads offsets.
        kafka.fence()
        assert_consistent(kafka, before)
        run_gate(kafka)
        assert sorted(kafka.outputs()) == sorted(expected)

    @pytest.mark.parametrize("step", ["after flush", "after send_offsets_to_transaction", "before commit_transaction"])
    def test_outputs_are_invisible_before_the_commit(self, kafka: GateKafka, step: str) -> None:
        before = kafka.committed()
        produce_mixture(kafka)
        seen: list[object] = []
        kafka.steps.on(step, lambda: seen.append((kafka.outputs(), committed_or(kafka, before))))
        run_gate(kafka)
        assert seen == [([], before)]

    @pytest.mark.parametrize("code", ERRORS)
    @pytest.mark.parametrize(
        "step",
        [
            "before begin_transaction",
            "before flush",
            "before send_offsets_to_transaction",
            "after send_offsets_to_transaction",
            "before commit_transaction",
        ],
    )
    def test_error_before_the_commit_is_retried_with_a_new_producer(
        self, kafka: GateKafka, step: str, code: int
    ) -> None:
        expected = produce_mixture(kafka)
        kafka.steps.on(step, raising(error_of(code)))
        run_gate(kafka)
        assert sorted(kafka.outputs()) == sorted(expected)

    def test_commit_whose_answer_is_lost_is_settled_by_a_new_producer(self, kafka: GateKafka) -> None:
        expected = produce_mixture(kafka)
        kafka.steps.on("after commit_transaction", raising(error_of(KafkaError._TRANSPORT)))
        run_gate(kafka)
        assert sorted(kafka.outputs()) == sorted(expected)
        assert kafka.steps.counts["after init_transactions"] == 2

    @pytest.mark.parametrize(
        "step", ["after begin_transaction", "before send_offsets_to_transaction", "before commit_transaction"]
    )
    def test_fenced_producer_commits_nothing(self, kafka: GateKafka, step: str) -> None:
        expected = produce_mixture(kafka)
        kafka.steps.on(step, kafka.fence)
        run_gate(kafka)
        assert sorted(kafka.outputs()) == sorted(expected)
        assert kafka.steps.counts["after init_transactions"] == 2

    @pytest.mark.parametrize("after", [0, 1])
    def test_poll_error_restarts_with_new_clients(self, kafka: GateKafka, after: int) -> None:
        expected = produce_mixture(kafka)
        kafka.steps.on("after consume", raising(error_of(KafkaError._TRANSPORT)), after)
        run_gate(kafka)
        assert sorted(kafka.outputs()) == sorted(expected)
        assert kafka.steps.counts["after init_transactions"] == 2

    @pytest.mark.parametrize("step", ["after decide", "before begin_transaction", "before commit_transaction"])
    def test_stop_commits_what_was_decided(self, kafka: GateKafka, step: str) -> None:
        before = kafka.committed()
        produce_mixture(kafka)
        stop = ImpatientStop()
        kafka.steps.on(step, stop.ask)
        run_gate(kafka, is_done=lambda: False, stop=stop)
        decided = kafka.steps.counts["after decide"]
        assert decided == kafka.steps.counts["after commit_transaction"] > 0
        assert len(kafka.outputs()) == kafka.steps.counts["after produce"] > 0
        assert_consistent(kafka, before)

    def test_output_above_the_size_limit_is_rejected_and_others_are_valid(self, kafka: GateKafka) -> None:
        reviews = [view(review=sha256(b"%d" % number).hexdigest() * 20) for number in range(30)]
        large = session(views=reviews)
        large_origin, *others = kafka.produce([large, session(), session(), session()])
        kafka.limit_bytes(topics.VALID, 2_000)
        try:
            run_gate(kafka)
        finally:
            kafka.limit_bytes(topics.VALID, topics.MAX_MESSAGE_BYTES)
        expected = [Output(large_origin, "too_long"), *(Output(origin, "valid") for origin in others)]
        assert sorted(kafka.outputs()) == sorted(expected)


def committed_or(kafka: GateKafka, default: dict[int, int]) -> dict[int, int]:
    """Return the committed offsets, or the default while a transaction prevents the broker from returning them."""
    read: Callable[[], dict[int, int]] = kafka.committed
    try:
        return read()
    except Exception:
        return default
