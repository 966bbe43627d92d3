"""Alerts at a real webhook, without Redis: one message an interval, one pair for an alert that flaps."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.contracts.setting import Secret
from include.contracts.settings import RedisSettings, Settings, SuperviseSettings
from include.supervise import alert_manager, heartbeat, supervisor
from include.supervise.alert_manager import AlertManager
from include.supervise.decision_log import DecisionRecord
from include.supervise.heartbeat import send_heartbeat
from include.supervise.observation import Unavailable
from include.supervise.policy import decide
from include.supervise.state_file import AlertRecord, StateFile
from include.supervise.stream_job import JobProgram
from include.supervise.supervisor import run_cycle
from tests.unit.supervise.factories import LIMITS, NOW, at, for_long, gate
from tests.webhook import Webhook, serve_webhook

AGAIN_S = 3_600
GRACE_S = 60.0
ALERT = ("gate.redis_unreachable", "Redis is unavailable", "refused", "start it")


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with serve_webhook() as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path, webhook: Webhook) -> Settings:
    """Redis is unavailable: nothing listens on its port."""
    return Settings(
        supervise=SuperviseSettings(
            state_dir=str(tmp_path / "supervise"),
            alert_webhook=webhook.url,
            heartbeat_url=webhook.url,
            alert_repeat_interval_s=AGAIN_S,
        ),
        redis=RedisSettings(url=Secret("redis://127.0.0.1:1/0")),
    )


class Clock:
    """The time of the module under test, set by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(alert_manager, "time", clock)
    return clock


def cycle(settings: Settings, *, fires: bool) -> None:
    """Run one supervision cycle: a separate process, so only the file has a state."""
    with AlertManager(settings) as manager:
        if fires:
            manager.fire(*ALERT)
        else:
            manager.resolve(ALERT[0], grace_s=GRACE_S)


def test_alert_without_redis_is_sent_once_an_interval(settings: Settings, webhook: Webhook, clock: Clock) -> None:
    for _ in range(10):
        cycle(settings, fires=True)
        clock.now += 60
    assert webhook.summary == [("gate.redis_unreachable", "raised")]
    clock.now += AGAIN_S
    cycle(settings, fires=True)
    assert webhook.summary == [("gate.redis_unreachable", "raised")] * 2


def test_flapping_alert_is_one_alert_and_one_recovery(settings: Settings, webhook: Webhook, clock: Clock) -> None:
    for step in range(20):
        cycle(settings, fires=step % 2 == 0)
        clock.now += 20
    assert webhook.summary == [("gate.redis_unreachable", "raised")]
    clock.now += GRACE_S
    cycle(settings, fires=False)
    cycle(settings, fires=False)
    assert webhook.summary == [("gate.redis_unreachable", "raised"), ("gate.redis_unreachable", "recovered")]


def test_alert_the_webhook_refuses_is_sent_again(settings: Settings, webhook: Webhook, clock: Clock) -> None:
    webhook.status = 503
    cycle(settings, fires=True)
    webhook.status = 200
    cycle(settings, fires=True)
    assert webhook.summary == [("gate.redis_unreachable", "raised")]
    clock.now += GRACE_S
    webhook.status = 503
    cycle(settings, fires=False)
    webhook.status = 200
    cycle(settings, fires=False)
    assert webhook.summary == [("gate.redis_unreachable", "raised"), ("gate.redis_unreachable", "recovered")]


def test_alert_whose_sender_died_is_sent_by_a_later_cycle(settings: Settings, webhook: Webhook, clock: Clock) -> None:
    with StateFile(settings).edit() as state:
        state.alerts[ALERT[0]] = AlertRecord(sent_at=clock.now, fired_at=clock.now)
    clock.now += 20
    cycle(settings, fires=True)
    assert webhook.summary == []
    clock.now += 60
    cycle(settings, fires=True)
    assert webhook.summary == [("gate.redis_unreachable", "raised")]


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"alerts": 1}'])
def test_state_file_that_is_broken_starts_empty(settings: Settings, webhook: Webhook, content: bytes) -> None:
    path = Path(settings.supervise.state_dir) / "supervisor.json"
    path.parent.mkdir()
    path.write_bytes(content)
    cycle(settings, fires=True)
    cycle(settings, fires=True)
    assert webhook.summary == [("gate.redis_unreachable", "raised")]


def test_alert_without_a_state_folder_is_sent(settings: Settings, webhook: Webhook) -> None:
    Path(settings.supervise.state_dir).touch()
    cycle(settings, fires=True)
    assert webhook.summary == [("gate.redis_unreachable", "raised")]


def test_heartbeat_is_sent_and_stored(settings: Settings, webhook: Webhook) -> None:
    assert send_heartbeat(settings)
    assert webhook.heartbeats == 1
    assert StateFile(settings).read().heartbeat_at is not None


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:1/secret", "no address", "ftp://127.0.0.1/secret"])
def test_heartbeat_that_fails_is_logged_without_its_address(
    settings: Settings, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert not send_heartbeat(settings.replace(supervise={"heartbeat_url": Secret(url)}))
    assert ("send heartbeat failed" in caplog.text) == bool(url)
    assert "secret" not in caplog.text
    assert StateFile(settings).read().heartbeat_at is None


def test_heartbeat_that_the_service_rejects_is_not_stored(settings: Settings, webhook: Webhook) -> None:
    webhook.status = 404
    assert not send_heartbeat(settings)
    assert StateFile(settings).read().heartbeat_at is None


def test_cycle_without_any_server_ends_with_a_heartbeat(settings: Settings, webhook: Webhook, tmp_path: Path) -> None:
    address = "127.0.0.1:1"
    unavailable = settings.replace(
        kafka={"bootstrap_servers": address},
        elasticsearch={"url": f"http://{address}"},
        flink={"url": f"http://{address}"},
        mongodb={"url": Secret(f"mongodb://{address}")},
    )
    program = JobProgram(tmp_path / "none.jar", "/", "/none.py")
    record = run_cycle(unavailable, program, tmp_path, prepare=lambda: None, on_progress=lambda _: None)
    assert record.decision.action == "wait"
    assert webhook.heartbeats == 1


def test_heartbeat_to_a_service_without_response_times_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(heartbeat, "REQUEST_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = Secret(f"http://127.0.0.1:{silent.getsockname()[1]}/secret")
        assert not send_heartbeat(settings.replace(supervise={"heartbeat_url": url}))
    assert "no response within 0.3 s" in caplog.text


def test_alert_whose_source_is_unavailable_is_not_resolved(settings: Settings, webhook: Webhook, clock: Clock) -> None:
    silent = at(0, gate=gate(0.2, None))
    for seen in (silent, at(0, gate=Unavailable("refused")), at(0)):
        decision = decide(seen, for_long(gate=gate(0.2, None)), (), LIMITS, NOW)
        supervisor.send_alerts(settings, DecisionRecord(NOW, seen, decision))
        clock.now += 2 * settings.supervise.startup_grace_s
        sent = [message for message in webhook.summary if message[0] == "gate.heartbeat_missing"]
        assert (
            sent
            == [("gate.heartbeat_missing", "raised"), ("gate.heartbeat_missing", "recovered")][
                : 2 if seen == at(0) else 1
            ]
        )
