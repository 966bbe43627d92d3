"""Fixtures of the whole platform: the shared stack with the gate and the stream job."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from include.clients.flink import FlinkRest
from include.contracts.settings import Settings
from include.supervise.stream_job import cancel, running_job
from local.stack import Stack
from local.stream_job import start_job


@pytest.fixture(scope="session")
def platform(stack: Stack) -> Iterator[Stack]:
    """The stack with the running gate and stream job; both stop after the tests."""
    stack.up([f"gate-{number}" for number in range(stack.settings.gate.processes)])
    start_job(stack.settings)
    yield stack
    with FlinkRest(stack.settings.flink) as flink:
        if running_job(flink):
            cancel(flink)
    for number in range(stack.settings.gate.processes):
        stack.stop(f"gate-{number}")


@pytest.fixture(scope="session")
def live(platform: Stack) -> Settings:
    """Settings of the running platform."""
    return platform.settings
