"""Backoff of the sink: growing pauses up to a maximum, and a limited number of log lines."""

import logging

import pytest

from flink.sink import INITIAL_BACKOFF_S, LOG_INTERVAL_S, MAX_BACKOFF_S, Backoff


def test_backoff_pauses_grow_to_a_maximum() -> None:
    slept: list[float] = []
    backoff = Backoff(slept.append)
    for attempt in range(40):
        backoff.wait(attempt, "unavailable")
    assert INITIAL_BACKOFF_S / 2 <= slept[0] <= INITIAL_BACKOFF_S
    assert all(MAX_BACKOFF_S / 2 <= pause <= MAX_BACKOFF_S for pause in slept[10:])
    assert len(set(slept[10:])) > 1


def test_backoff_logs_the_reason_once_per_interval(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    backoff = Backoff(lambda _: None, clock=lambda: now[0])
    with caplog.at_level(logging.WARNING, logger="showroom.stream"):
        for _ in range(5):
            backoff.wait(0, "connection refused")
        now[0] = LOG_INTERVAL_S
        backoff.wait(9, "503 busy")
    assert [record.getMessage() for record in caplog.records] == [
        "waiting for Elasticsearch, attempt 1: connection refused",
        "waiting for Elasticsearch, attempt 10: 503 busy",
    ]


def test_backoff_has_a_reason_until_reset() -> None:
    backoff = Backoff(lambda _: None)
    reasons = [backoff.reason]
    for attempt, reason in enumerate(("403 cluster_block_exception", "429 busy")):
        backoff.wait(attempt, reason)
        reasons.append(backoff.reason)
    backoff.reset()
    reasons.append(backoff.reason)
    assert reasons == [None, "403 cluster_block_exception", "429 busy", None]
    assert backoff.waits == 2
