"""Preparation waits for its servers, and no longer than its deadline."""

import socket
from collections.abc import Iterator

import pytest

from include.contracts.errors import TransientError
from include.contracts.settings import ElasticsearchSettings, KafkaSettings, Settings
from include.provision import __main__ as prepare


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_it_gives_up_on_a_broker_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "PAUSE_S", 0.01)
    settings = Settings(kafka=KafkaSettings(bootstrap_servers=f"127.0.0.1:{closed_port()}"))
    monkeypatch.setattr(prepare, "ensure_topics", _unavailable)
    with pytest.raises(TransientError, match=f"Kafka does not answer at {settings.kafka.bootstrap_servers}"):
        prepare.prepare(settings, deadline_s=0.05)


def test_it_gives_up_on_an_elasticsearch_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "PAUSE_S", 0.01)
    monkeypatch.setattr(prepare, "ensure_topics", lambda _: [])
    settings = Settings(elasticsearch=ElasticsearchSettings(url=f"http://127.0.0.1:{closed_port()}"))
    with pytest.raises(TransientError, match="Elasticsearch does not answer"):
        prepare.prepare(settings, deadline_s=0.05)


def test_a_server_that_comes_late_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "PAUSE_S", 0.01)
    first, second = ConnectionRefusedError("not yet"), ConnectionRefusedError("not yet")
    responses: Iterator[list[str] | Exception] = iter([first, second, ["sessions.raw"]])

    def ensure_topics(_: Settings) -> list[str]:
        response = next(responses)
        if isinstance(response, Exception):
            raise response
        return response

    monkeypatch.setattr(prepare, "ensure_topics", ensure_topics)
    assert prepare._with_retries(lambda: prepare._topics(Settings()), 5.0) == ["sessions.raw"]


@pytest.mark.parametrize(("name", "code"), [("SHOWROOM_NONSENSE", 2), ("SHOWROOM_KAFKA_PARTITIONS", 2)])
def test_wrong_settings_end_it_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, code: int
) -> None:
    monkeypatch.setenv(name, "nonsense")
    assert prepare.main() == code
    error = capsys.readouterr().err
    assert error.startswith("prepare: ") and name in error and error.count("\n") == 1


def _unavailable(_: Settings) -> list[str]:
    raise ConnectionRefusedError("nobody listens")
