"""How the sink waits: longer each time, within a bound, and without filling the log."""

import logging

import pytest

from flink.sink import FIRST_WAIT_S, LOG_EVERY_S, LONGEST_WAIT_S, Backoff


def test_waits_grow_within_a_bound() -> None:
    slept: list[float] = []
    waiting = Backoff(slept.append)
    for attempt in range(40):
        waiting.wait(attempt, "away")
    assert FIRST_WAIT_S / 2 <= slept[0] <= FIRST_WAIT_S
    assert all(LONGEST_WAIT_S / 2 <= pause <= LONGEST_WAIT_S for pause in slept[10:])
    assert len(set(slept[10:])) > 1


def test_the_log_says_what_for_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    waiting = Backoff(lambda _: None, clock=lambda: now[0])
    with caplog.at_level(logging.WARNING, logger="showroom.stream"):
        for _ in range(5):
            waiting.wait(0, "connection refused")
        now[0] = LOG_EVERY_S
        waiting.wait(9, "503 busy")
    assert [record.getMessage() for record in caplog.records] == [
        "waiting for Elasticsearch, attempt 1: connection refused",
        "waiting for Elasticsearch, attempt 10: 503 busy",
    ]


def test_waiting_until_it_is_over_has_a_reason() -> None:
    waiting = Backoff(lambda _: None)
    reasons = [waiting.reason]
    for attempt, reason in enumerate(("403 cluster_block_exception", "429 busy")):
        waiting.wait(attempt, reason)
        reasons.append(waiting.reason)
    waiting.over()
    reasons.append(waiting.reason)
    assert reasons == [None, "403 cluster_block_exception", "429 busy", None]
    assert waiting.waits == 2
