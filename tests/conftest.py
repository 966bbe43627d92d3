"""Fixtures of all tests: one running stack for each test run, with separate ports and state.

Flink's environment loads this file too. Imports that it lacks are therefore inside the fixtures.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from include.contracts.setting import Secret
from include.contracts.settings import (
    AirflowSettings,
    GateSettings,
    KafkaSettings,
    LocalSettings,
    Settings,
    StreamSettings,
)

if TYPE_CHECKING:
    from local.stack import Stack

with suppress(ImportError):  # the environment airflow has no hypothesis
    import hypothesis

    # A test fails because of an incorrect result, never because the machine is busy.
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def settings() -> Settings:
    """Settings of the stack that the tests share."""
    return Settings(
        local=LocalSettings(state_dir=Path(".showroom/test"), port_offset=1_000),
        gate=GateSettings(pseudonym_key=Secret("a key for tests only, never used elsewhere")),
        airflow=AirflowSettings(metrics_token=Secret("a scraper of tests only")),
        stream=StreamSettings(checkpoint_interval_s=2),
        kafka=KafkaSettings(partitions=2),
    )


@pytest.fixture(scope="session")
def stack(settings: Settings) -> Iterator[Stack]:
    """New, empty Kafka, Redis, Elasticsearch and Flink; tests that need the gate start it."""
    from local.stack import SERVERS, Stack  # noqa: PLC0415
    from tests.locking import turn  # noqa: PLC0415

    running = Stack(settings)
    with turn(settings):
        running.purge()
        try:
            running.up(SERVERS)
            yield running
        finally:
            running.down()
