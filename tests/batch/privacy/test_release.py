"""The step: what it charges, keeps, repeats and refuses."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from include.batch import parameters
from include.batch.context import Context
from include.batch.evaluate import split
from include.batch.evaluate.split import Split
from include.batch.features import columns, table
from include.batch.models import artifact
from include.batch.models.baselines import Majority
from include.batch.privacy import recompute, release
from include.batch.privacy.mechanism import Mechanism, calibrate
from include.contracts.errors import SettingsError, TerminalError
from include.contracts.settings import Secret, Settings
from tests.batch.archived import WINDOW
from tests.batch.made_up import samples
from tests.batch.privacy.kept import Memory
from tests.batch.privacy.made import WANTED

ROWS = 3000
USER = np.arange(ROWS) % 1000
DATA = dataclasses.replace(samples(ROWS, 1), group=USER)
TESTED = USER >= 600
LATE = np.arange(ROWS) >= 2000
PARTS = Split(
    train=np.flatnonzero(~TESTED & (np.arange(ROWS) < 1500)),
    inner=np.flatnonzero(~TESTED & ~LATE & (np.arange(ROWS) >= 1500)),
    test=np.flatnonzero(TESTED & LATE),
)


CALIBRATE = cache(calibrate)
"""Each is looked for once in all these tests."""


@pytest.fixture(autouse=True)
def calibrated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "calibrate", CALIBRATE)


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> Memory:
    kept = Memory()

    @contextmanager
    def opened(_: Settings) -> Iterator[Memory]:
        yield kept

    monkeypatch.setattr(release, "opened", opened)
    monkeypatch.setattr(table, "read", lambda _: SimpleNamespace(started_us=np.arange(ROWS)))
    monkeypatch.setattr(columns, "samples", lambda _: DATA)
    monkeypatch.setattr(split, "load", lambda _: SimpleNamespace(temporal=PARTS))
    return kept


@pytest.fixture
def context(tmp_path: Path) -> Context:
    found = parameters.load()
    (tmp_path / "models").mkdir()
    artifact.save(Majority(0.3), tmp_path / "models" / "majority", DATA.columns)
    return Context(
        window=WINDOW,
        out=tmp_path,
        parameters=msgspec.structs.replace(
            found, private=WANTED, evaluate=msgspec.structs.replace(found.evaluate, draws=40)
        ),
        settings=Settings(noise_key=Secret("k" * 32)),
        say=lambda _: None,
    )


def told(context: Context) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(release.run(context)))
    return found


def with_private(context: Context, **changes: Any) -> Context:
    wanted = msgspec.structs.replace(context.parameters.private, **changes)
    return dataclasses.replace(context, parameters=msgspec.structs.replace(context.parameters, private=wanted))


def test_it_releases_once_and_the_same_again_costs_nothing(context: Context, entries: Memory) -> None:
    first = told(context)
    model = artifact.load(context.out / "models" / "private_network")
    again = told(context)

    assert model.private
    assert first["epsilon"] <= WANTED.epsilon
    logged = msgspec.convert(first["mechanism"], Mechanism)
    assert recompute.agrees(first["epsilon"], recompute.epsilon(logged.sigma, logged.rate, logged.steps, logged.delta))
    assert logged.users == 600
    assert len(entries.kept) == 1
    assert (first.pop("again"), again.pop("again")) == (False, True)
    assert first["scores"].pop("seconds") > 0 < again["scores"].pop("seconds")
    assert first == again
    with np.load(context.out / "predictions" / "private_network.npz") as found:
        assert (found["test"] == model.probabilities(DATA.take(PARTS.test))).all()
        assert len(found["inner"]) == len(PARTS.inner)
    assert first["scores"]["canary"]["ok"]
    assert (
        first["attack"]["private_network"]["advantage"]["value"]
        < first["attack"]["private_network"]["advantage_at_most"]
    )
    assert [row["model"] for row in first["table"]] == ["majority (not private)", "private_network"]


def test_another_key_is_another_release_and_charged_as_one(context: Context, entries: Memory) -> None:
    told(context)
    told(dataclasses.replace(context, settings=Settings(noise_key=Secret("l" * 32))))

    assert len(entries.kept) == 2


@pytest.mark.parametrize("change", [{"rate": 0.03}, {"epsilon": 2.0}, {"prior": 0.2}, {"sessions": 1}])
def test_whatever_changes_the_weights_changes_the_noise(change: dict[str, Any]) -> None:
    def key(**changes: Any) -> str:
        wanted = msgspec.structs.replace(WANTED, **changes)
        return release.planned(DATA.take(PARTS.train), wanted, "w", 1).key

    assert key() == key()
    assert key(**change) != key()


def test_other_data_windows_and_seeds_are_other_releases() -> None:
    trained = DATA.take(PARTS.train)
    plans = [release.planned(trained, WANTED, window, seed) for window, seed in (("w", 1), ("v", 1), ("w", 2))]
    turned = trained.y.copy()
    turned[7] = ~turned[7]
    plans.append(release.planned(trained.labelled(turned), WANTED, "w", 1))
    assert len({plan.key for plan in plans}) == 4


def test_a_spent_budget_is_told_and_leaves_the_models_alone(context: Context, entries: Memory) -> None:
    found = told(with_private(context, budget=0.5))

    assert "budget is spent" in found["refused"]
    assert "scores" not in found
    assert not (context.out / "models" / "private_network").exists()
    assert list(found["attack"]) == ["majority"]
    assert entries.kept == []


def test_without_a_noise_key_nothing_is_charged(context: Context, entries: Memory) -> None:
    with pytest.raises(SettingsError, match="NOISE_KEY"):
        told(dataclasses.replace(context, settings=Settings()))
    assert entries.kept == []


def test_a_training_that_dies_is_charged(context: Context, entries: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(release, "train", die)
    with pytest.raises(KeyboardInterrupt):
        told(context)
    assert len(entries.kept) == 1


def test_an_epsilon_that_cannot_be_found_a_second_way_stops_the_release(
    context: Context, entries: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recompute, "epsilon", lambda *_: 0.5)
    with pytest.raises(TerminalError, match="by a second way"):
        told(context)
    assert entries.kept == []


def test_other_kinds_only_are_attacked_and_nothing_is_released(context: Context, entries: Memory) -> None:
    found = told(dataclasses.replace(context, only=("boost",)))
    assert list(found["attack"]) == ["majority"]
    assert entries.kept == []
