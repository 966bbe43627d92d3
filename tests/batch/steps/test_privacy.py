"""The step privacy: charges, stored models, repeats and refusals."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

from include.batch import parameters
from include.batch.evaluation import splits
from include.batch.evaluation.splits import Split
from include.batch.features import columns, table
from include.batch.inputs import Inputs
from include.batch.models import artifact
from include.batch.models.baselines import Majority
from include.batch.parameters import Parameters
from include.batch.privacy import recompute, release
from include.batch.privacy.mechanism import Mechanism, calibrate
from include.batch.steps import privacy
from include.contracts.errors import SettingsError, TerminalError
from include.contracts.setting import Secret
from include.contracts.settings import BatchSettings, Settings
from tests.batch.documents import WINDOW
from tests.batch.factories import samples
from tests.batch.privacy.factories import PRIVATE
from tests.batch.privacy.ledger_contract import Memory

ROWS = 3000
USER = np.arange(ROWS) % 1000
DATA = dataclasses.replace(samples(ROWS, 1), group=USER)
IS_TEST_USER = USER >= 600
IS_LATE = np.arange(ROWS) >= 2000
PARTS = Split(
    train=np.flatnonzero(~IS_TEST_USER & (np.arange(ROWS) < 1500)),
    validation=np.flatnonzero(~IS_TEST_USER & ~IS_LATE & (np.arange(ROWS) >= 1500)),
    test=np.flatnonzero(IS_TEST_USER & IS_LATE),
)


CALIBRATE = cache(calibrate)
"""Cached, because each calibration is slow."""


@pytest.fixture(autouse=True)
def calibrated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "calibrate", CALIBRATE)


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> Memory:
    retained = Memory()

    @contextmanager
    def open_ledger(_: Settings) -> Iterator[Memory]:
        yield retained

    monkeypatch.setattr(privacy, "open_ledger", open_ledger)
    monkeypatch.setattr(table, "read", lambda _: SimpleNamespace(started_us=np.arange(ROWS)))
    monkeypatch.setattr(columns, "samples", lambda _: DATA)
    monkeypatch.setattr(splits, "load", lambda _: SimpleNamespace(temporal=PARTS))
    return retained


class Step(NamedTuple):
    """Arguments of the step."""

    inputs: Inputs
    parameters: Parameters


@pytest.fixture
def step(tmp_path: Path) -> Step:
    nightly = parameters.load()
    (tmp_path / "models").mkdir()
    artifact.save(Majority(0.3), tmp_path / "models" / "majority", DATA.columns)
    small = msgspec.structs.replace(
        nightly, private=PRIVATE, evaluation=msgspec.structs.replace(nightly.evaluation, draws=40)
    )
    return Step(
        Inputs(WINDOW, tmp_path, Settings(batch=BatchSettings(noise_key=Secret("k" * 32))), lambda _: None), small
    )


def run(step: Step) -> dict[str, Any]:
    summary: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(privacy.run(*step)))
    return summary


def with_inputs(step: Step, **changes: Any) -> Step:
    return step._replace(inputs=dataclasses.replace(step.inputs, **changes))


def with_private(step: Step, **changes: Any) -> Step:
    private = msgspec.structs.replace(step.parameters.private, **changes)
    return step._replace(parameters=msgspec.structs.replace(step.parameters, private=private))


def test_run_releases_once_and_a_repeat_costs_nothing(step: Step, entries: Memory) -> None:
    first = run(step)
    model = artifact.load(step.inputs.out / "models" / "private_network")
    again = run(step)

    assert model.private
    assert first["epsilon"] <= PRIVATE.epsilon
    logged = msgspec.convert(first["mechanism"], Mechanism)
    assert recompute.agrees(first["epsilon"], recompute.epsilon(logged.sigma, logged.rate, logged.steps, logged.delta))
    assert logged.users == 600
    assert len(entries.entries) == 1
    assert (first.pop("is_repeat"), again.pop("is_repeat")) == (False, True)
    assert first["scores"].pop("seconds") > 0 < again["scores"].pop("seconds")
    assert first == again
    with np.load(step.inputs.out / "predictions" / "private_network.npz") as result:
        assert (result["test"] == model.probabilities(DATA.take(PARTS.test))).all()
        assert len(result["validation"]) == len(PARTS.validation)
    assert first["scores"]["shuffled_label_check"]["ok"]
    assert (
        first["attack"]["private_network"]["advantage"]["value"]
        < first["attack"]["private_network"]["advantage_at_most"]
    )
    assert [row["model"] for row in first["table"]] == ["majority (not private)", "private_network"]


def test_run_with_another_noise_key_is_charged_again(step: Step, entries: Memory) -> None:
    run(step)
    run(with_inputs(step, settings=Settings(batch=BatchSettings(noise_key=Secret("l" * 32)))))

    assert len(entries.entries) == 2


@pytest.mark.parametrize(
    "change", [{"learning_rate": 0.03}, {"epsilon": 2.0}, {"prior": 0.2}, {"max_sessions_per_user": 1}]
)
def test_plan_key_changes_with_every_parameter(change: dict[str, Any]) -> None:
    def key(**changes: Any) -> str:
        expected = msgspec.structs.replace(PRIVATE, **changes)
        return release.build_plan(DATA.take(PARTS.train), expected, "w", 1).key

    assert key() == key()
    assert key(**change) != key()


def test_plan_key_changes_with_data_window_and_seed() -> None:
    trained = DATA.take(PARTS.train)
    plans = [release.build_plan(trained, PRIVATE, window, seed) for window, seed in (("w", 1), ("v", 1), ("w", 2))]
    turned = trained.y.copy()
    turned[7] = ~turned[7]
    plans.append(release.build_plan(trained.with_labels(turned), PRIVATE, "w", 1))
    assert len({plan.key for plan in plans}) == 4


def test_run_with_a_spent_budget_reports_it_and_keeps_models(step: Step, entries: Memory) -> None:
    result = run(with_private(step, budget=0.5))

    assert "budget is spent" in result["refused"]
    assert "scores" not in result
    assert not (step.inputs.out / "models" / "private_network").exists()
    assert list(result["attack"]) == ["majority"]
    assert entries.entries == []


def test_run_without_a_noise_key_charges_nothing(step: Step, entries: Memory) -> None:
    with pytest.raises(SettingsError, match="NOISE_KEY"):
        run(with_inputs(step, settings=Settings()))
    assert entries.entries == []


def test_run_with_a_crashing_training_is_charged(step: Step, entries: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(release, "train", crash)
    with pytest.raises(KeyboardInterrupt):
        run(step)
    assert len(entries.entries) == 1


def test_run_with_a_disagreeing_epsilon_raises(step: Step, entries: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recompute, "epsilon", lambda *_: 0.5)
    with pytest.raises(TerminalError, match="recomputed"):
        run(step)
    assert entries.entries == []


def test_run_of_other_kinds_attacks_but_releases_nothing(step: Step, entries: Memory) -> None:
    result = run(with_inputs(step, only=("boost",)))
    assert list(result["attack"]) == ["majority"]
    assert entries.entries == []
