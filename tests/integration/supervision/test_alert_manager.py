"""Alerts with an intermittent real Redis: each is sent once per interval, and its recovery once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from include.contracts.settings import LocalSettings, Settings
from include.supervise.alert_manager import AlertManager
from local.stack import Stack
from tests.locking import turn
from tests.webhook import Webhook, serve_webhook

OFFSET = 1_600
ALERT = ("gate.heartbeat_missing", "a partition has no gate process", "partition 1", "start it")
RAISED, RECOVERED = ("gate.heartbeat_missing", "raised"), ("gate.heartbeat_missing", "recovered")


@pytest.fixture(scope="module")
def redis_stack() -> Iterator[Stack]:
    """A Redis that these tests may stop."""
    stack = Stack(Settings(local=LocalSettings(state_dir=Path(".showroom/test-alert"), port_offset=OFFSET)))
    with turn(stack.settings):
        stack.purge()
        try:
            stack.up(("redis",))
            yield stack
        finally:
            stack.down()


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with serve_webhook() as server:
        yield server


@pytest.fixture
def machine(redis_stack: Stack, webhook: Webhook, tmp_path: Path) -> Settings:
    """Settings of one supervisor's machine."""
    return redis_stack.settings.replace(supervise={"alert_webhook": webhook.url, "state_dir": str(tmp_path / "one")})


def fire(settings: Settings, cycles: int = 1) -> None:
    for _ in range(cycles):
        with AlertManager(settings) as manager:
            manager.fire(*ALERT)


def resolve(settings: Settings) -> None:
    with AlertManager(settings) as manager:
        manager.resolve(ALERT[0])


def test_alert_fired_before_redis_stops_is_not_repeated(
    redis_stack: Stack, machine: Settings, webhook: Webhook, tmp_path: Path
) -> None:
    fire(machine, cycles=2)
    redis_stack.stop("redis")
    fire(machine, cycles=5)
    redis_stack.start("redis")
    fire(machine, cycles=2)
    fire(machine.replace(supervise={"state_dir": str(tmp_path / "another machine")}), cycles=2)
    assert webhook.summary == [RAISED]
    resolve(machine)
    resolve(machine)
    assert webhook.summary == [RAISED, RECOVERED]


def test_alert_fired_while_redis_is_unavailable_is_sent_once_and_again_after_its_end(
    redis_stack: Stack, machine: Settings, webhook: Webhook
) -> None:
    redis_stack.stop("redis")
    fire(machine, cycles=5)
    redis_stack.start("redis")
    fire(machine, cycles=2)
    assert webhook.summary == [RAISED]
    fire(machine)
    redis_stack.stop("redis")
    resolve(machine)
    redis_stack.start("redis")
    assert webhook.summary == [RAISED, RECOVERED]
    fire(machine)
    assert webhook.summary == [RAISED, RECOVERED, RAISED]
    resolve(machine)
