"""The step similar: its file, its summary and an empty window."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from include.batch import parameters
from include.batch.inputs import Inputs
from include.batch.lsh.publish import FILE
from include.batch.steps import similar
from include.batch.window import Window
from include.contracts.errors import TerminalError
from include.contracts.settings import Settings

PARAMETERS = parameters.load()
STARTED = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)


def visit(user: str, *products: str) -> dict[str, Any]:
    return {
        "user_id": user,
        "started_at": STARTED,
        "views": [{"product_id": product, "category": "beds"} for product in products],
        "device": {"type": "mobile"},
        "referrer": "google",
        "location": {"country": "US", "state": "CA"},
    }


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    window = Window(STARTED, STARTED + timedelta(days=1))
    return Inputs(window=window, out=tmp_path, settings=Settings(), log=lambda _: None)


def test_run_writes_neighbours_and_is_independent_of_order(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    visits = [visit(f"u{number:03d}", *(f"p{number % part}" for part in (3, 5, 7))) for number in range(200)]
    monkeypatch.setattr(similar, "stream", lambda *_: iter([visits]))
    first = dict(similar.run(inputs, PARAMETERS))
    monkeypatch.setattr(similar, "stream", lambda *_: iter([visits[100:][::-1], visits[:100]]))
    second = dict(similar.run(inputs, PARAMETERS))
    for summary in (first, second):
        summary.pop("seconds")
    assert first == second
    assert msgspec.json.decode(msgspec.json.encode(first))["users"] == 200
    assert first["recall"] == 1.0
    assert (inputs.out / FILE).exists()
    assert not list(inputs.out.glob("*.partial"))


def test_run_with_an_empty_window_raises(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similar, "stream", lambda *_: iter([]))
    with pytest.raises(TerminalError, match="no visit began"):
        similar.run(inputs, PARAMETERS)
