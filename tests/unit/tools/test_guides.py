"""The examples of the guide do what the guide says: what they send passes the gate's checks."""

import json
import re
import time
from pathlib import Path
from typing import Any, NamedTuple

import kafka
import pytest

from include.contracts.settings import Settings
from include.gate.validation import Candidate, Limits, check
from local.project import ROOT

GUIDE = (ROOT / "docs/bring-your-own-shop.md").read_text(encoding="utf-8")


class Stored(NamedTuple):
    partition: int
    offset: int


class Producer:
    """A KafkaProducer that keeps what it is given."""

    sent: list[dict[str, Any]] = []  # noqa: RUF012 - one list for the one example

    def __init__(self, bootstrap_servers: str, acks: str) -> None:
        assert bootstrap_servers == f"127.0.0.1:{Settings().local.ports.kafka}"
        assert acks == "all"

    def send(self, topic: str, key: bytes, value: bytes) -> "Producer":
        self.sent.append({"topic": topic, "key": key, "value": value})
        return self

    def get(self, timeout: float) -> Stored:
        return Stored(0, len(self.sent))

    def close(self) -> None:
        return


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "session.json").write_text(block("json"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kafka, "KafkaProducer", Producer)
    Producer.sent.clear()
    return tmp_path


def block(language: str) -> str:
    """The guide's one block in a language."""
    (result,) = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    return str(result)


def verdict(value: bytes, key: bytes) -> object:
    return check(value, key, int(time.time() * 1000), Limits.of(Settings()))


def test_the_session_of_the_guide_is_admitted() -> None:
    session = json.loads(block("json"))
    assert isinstance(verdict(block("json").encode(), session["user_id"].encode()), Candidate)


def test_the_python_example_sends_what_the_gate_admits(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block("python"), "send.py", "exec"), {"__name__": "__main__"})
    (sent,) = Producer.sent
    assert sent["topic"] == "sessions.raw"
    assert isinstance(verdict(sent["value"], sent["key"]), Candidate)
    assert capsys.readouterr().out == "stored in partition 0 at offset 1\n"


def test_the_javascript_example_says_the_same() -> None:
    text = block("javascript")
    assert f"127.0.0.1:{Settings().local.ports.kafka}" in text
    assert 'topic: "sessions.raw"' in text
    assert "key: session.user_id" in text
    # KafkaJS's other partitioner places a user elsewhere than every other source does.
    assert "Partitioners.DefaultPartitioner" in text
