"""Provisioning retries unavailable servers until its deadline."""

import socket
from collections.abc import Iterator

import pytest

from include.contracts.errors import TransientError
from include.contracts.settings import ElasticsearchSettings, KafkaSettings, Settings
from include.provision import __main__ as provision


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_provision_unavailable_broker_raises_transient_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provision, "RETRY_INTERVAL_S", 0.01)
    settings = Settings(kafka=KafkaSettings(bootstrap_servers=f"127.0.0.1:{closed_port()}"))
    monkeypatch.setattr(provision, "ensure_topics", _unavailable)
    with pytest.raises(TransientError, match=f"Kafka at {settings.kafka.bootstrap_servers} is unavailable"):
        provision.provision(settings, deadline_s=0.05)


def test_provision_unavailable_elasticsearch_raises_transient_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provision, "RETRY_INTERVAL_S", 0.01)
    monkeypatch.setattr(provision, "ensure_topics", lambda _: [])
    settings = Settings(elasticsearch=ElasticsearchSettings(url=f"http://127.0.0.1:{closed_port()}"))
    with pytest.raises(TransientError, match="Elasticsearch is unavailable"):
        provision.provision(settings, deadline_s=0.05)


def test_with_retries_waits_for_a_late_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provision, "RETRY_INTERVAL_S", 0.01)
    first, second = ConnectionRefusedError("not yet"), ConnectionRefusedError("not yet")
    responses: Iterator[list[str] | Exception] = iter([first, second, ["sessions.raw"]])

    def ensure_topics(_: Settings) -> list[str]:
        response = next(responses)
        if isinstance(response, Exception):
            raise response
        return response

    monkeypatch.setattr(provision, "ensure_topics", ensure_topics)
    assert provision._with_retries(lambda: provision._topics(Settings().kafka), 5.0) == ["sessions.raw"]


@pytest.mark.parametrize(("name", "code"), [("SHOWROOM_NONSENSE", 2), ("SHOWROOM_KAFKA_PARTITIONS", 2)])
def test_main_invalid_settings_exit_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, code: int
) -> None:
    monkeypatch.setenv(name, "nonsense")
    assert provision.main() == code
    error = capsys.readouterr().err
    assert error.startswith("prepare: ") and name in error and error.count("\n") == 1


def _unavailable(_: Settings) -> list[str]:
    raise ConnectionRefusedError("connection refused")
