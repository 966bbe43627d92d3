"""The sink when a connection is lost during a successful commit. Tests on a broker: test_gate_faults.py."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from include.clients import confluent_kafka
from include.gate import sink
from include.gate.sink import CommitError, TransactionSink


class ResendingProducer:
    """Loses the connection during a commit, sends the commit again and succeeds, all within one call."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._log: Callable[[str], None] = config["logger"].info
        self._queued: list[str] = []

    def poll(self, _: float) -> None:
        """Pass on log lines, as librdkafka does."""
        for line in self._queued:
            self._log(line)
        self._queued.clear()

    def begin_transaction(self) -> None: ...

    def produce(self, *_: Any, **__: Any) -> None: ...

    def flush(self, _: float) -> int:
        return 0

    def send_offsets_to_transaction(self, *_: Any) -> None: ...

    def commit_transaction(self, _: float) -> None:
        self._queued.append("FAIL [gate-0] [thrd:TxnCoordinator]: Disconnected: connection reset by peer")


def test_commit_that_succeeds_over_a_lost_connection_demands_a_new_producer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confluent_kafka, "Producer", ResendingProducer)
    transactions = TransactionSink("unused", "gate-0")

    with pytest.raises(CommitError, match="the connection was lost"):
        transactions.commit([], [], None)

    assert transactions.in_doubt is False


class HangingProducer(ResendingProducer):
    """Block in the begin of a transaction until the process would have ended."""

    ended = threading.Event()

    def begin_transaction(self) -> None:
        assert self.ended.wait(timeout=30)


def test_begin_that_hangs_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    reasons: list[str] = []

    def end(reason: str) -> None:
        reasons.append(reason)
        HangingProducer.ended.set()

    monkeypatch.setattr(confluent_kafka, "Producer", HangingProducer)
    monkeypatch.setattr(sink, "BEGIN_LIMIT_S", 0.01)
    monkeypatch.setattr(sink, "exit_now", end)
    with pytest.raises(CommitError):
        TransactionSink("unused", "gate-0").commit([], [], None)
    assert reasons == ["a commit hangs: no begin within 0.01 s"]


def test_begin_that_returns_does_not_end_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    reasons: list[str] = []
    monkeypatch.setattr(confluent_kafka, "Producer", ResendingProducer)
    monkeypatch.setattr(sink, "BEGIN_LIMIT_S", 0.2)
    monkeypatch.setattr(sink, "exit_now", reasons.append)
    with pytest.raises(CommitError):
        TransactionSink("unused", "gate-0").commit([], [], None)
    assert not [
        thread
        for thread in threading.enumerate()
        if isinstance(thread, threading.Timer) and thread.is_alive() and not thread.finished.is_set()
    ]
    assert reasons == []
