"""The step train: its files, its summary and its determinism."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from include.batch import parameters
from include.batch.evaluation import splits
from include.batch.evaluation.evaluate import Evaluation, best, best_baseline
from include.batch.evaluation.splits import Split, Splits
from include.batch.features import columns, table
from include.batch.inputs import Inputs
from include.batch.models import artifact
from include.batch.models.model import BASELINES
from include.batch.steps import train
from include.batch.window import Window
from include.contracts.errors import SettingsError
from include.contracts.settings import Settings
from tests.batch.factories import MODELS, samples

ROWS = 3000
DATA = dataclasses.replace(samples(ROWS, 1), group=np.arange(ROWS) // 3)
ORDER = np.random.default_rng(2).permutation(ROWS)
SPLITS = Splits(
    temporal=Split(np.arange(1500), np.arange(1500, 2001), np.arange(2001, ROWS)),
    random=Split(np.sort(ORDER[:1800]), np.sort(ORDER[1800:2100]), np.sort(ORDER[2100:])),
)
KINDS = ("majority", "logistic", "boost")
NIGHTLY = parameters.load()
PARAMETERS = msgspec.structs.replace(
    NIGHTLY, models=MODELS, evaluation=msgspec.structs.replace(NIGHTLY.evaluation, draws=60)
)


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inputs:
    monkeypatch.setattr(table, "read", lambda _: SimpleNamespace(digest="d" * 64))
    monkeypatch.setattr(columns, "samples", lambda _: DATA)
    monkeypatch.setattr(splits, "load", lambda _: SPLITS)
    return Inputs(
        window=Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 15, tzinfo=UTC)),
        out=tmp_path,
        settings=Settings.from_env({}),
        log=lambda _: None,
        oracle_auc=0.99,
        only=KINDS,
    )


def run(inputs: Inputs) -> dict[str, Any]:
    """Return the step's summary, decoded from JSON."""
    summary: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(train.run(inputs, PARAMETERS)))
    return summary


def test_run_writes_models_predictions_and_plots(inputs: Inputs) -> None:
    summary = run(inputs)
    assert list(summary["models"]) == list(KINDS)
    assert summary["best"] == "logistic"
    assert summary["best_baseline"] in BASELINES
    assert summary["above_oracle_auc"] == []
    assert summary["rows"] == {"train": 1500, "validation": 501, "test": 999}
    test = DATA.take(SPLITS.temporal.test)
    for kind in KINDS:
        loaded = artifact.load(inputs.out / "models" / kind)
        with np.load(inputs.out / "predictions" / f"{kind}.npz") as retained:
            assert np.array_equal(retained["test"], loaded.probabilities(test))
            assert len(retained["validation"]) == 501
        assert summary["digests"][kind] == artifact.manifest(inputs.out / "models" / kind).digest
    for name in summary["plots"]:
        assert (inputs.out / name).read_bytes().startswith(b"\x89PNG")
    assert not list(inputs.out.rglob("*.partial"))


def test_run_evaluates_each_kind_with_intervals_and_shuffled_labels(inputs: Inputs) -> None:
    evaluations = run(inputs)["models"]
    boost = msgspec.convert(evaluations["boost"], Evaluation)
    assert boost.intervals["roc_auc"].low < boost.scores.roc_auc < boost.intervals["roc_auc"].high
    assert boost.shuffled_label_check is not None
    assert boost.shuffled_label_check.ok
    assert evaluations["majority"]["shuffled_label_check"] is None
    assert evaluations["majority"]["scores"]["f1"] == 0.0
    assert boost.random.rows == 900


def test_run_is_deterministic(inputs: Inputs) -> None:
    first, again = run(inputs), run(inputs)
    for summary in (first, again):
        for row in [*summary["models"].values(), *summary["table"]]:
            row.pop("seconds")
    assert first == again


def test_threshold_is_chosen_on_the_validation_part(inputs: Inputs) -> None:
    result = msgspec.convert(run(inputs)["models"]["boost"], Evaluation)
    validation = DATA.take(SPLITS.temporal.validation)
    with np.load(inputs.out / "predictions" / "boost.npz") as retained:
        assert np.mean(retained["validation"] >= result.scores.threshold) == pytest.approx(
            validation.y.mean(), abs=0.01
        )


def test_run_lists_models_above_the_oracle_auc(inputs: Inputs) -> None:
    assert run(dataclasses.replace(inputs, oracle_auc=0.6))["above_oracle_auc"] == ["logistic", "boost"]


def test_run_deletes_models_of_other_kinds(inputs: Inputs) -> None:
    run(inputs)
    run(dataclasses.replace(inputs, only=("majority",)))
    assert [path.name for path in (inputs.out / "models").iterdir()] == ["majority"]
    assert [path.name for path in (inputs.out / "predictions").iterdir()] == ["majority.npz"]


def test_run_with_an_unknown_kind_raises(inputs: Inputs) -> None:
    with pytest.raises(SettingsError, match="oracle"):
        train.run(dataclasses.replace(inputs, only=("oracle",)), PARAMETERS)


def test_best_is_chosen_on_the_validation_part_without_baselines(inputs: Inputs) -> None:
    evaluations = {kind: msgspec.convert(value, Evaluation) for kind, value in run(inputs)["models"].items()}
    boost = evaluations["boost"]
    praised = msgspec.structs.replace(boost, scores=msgspec.structs.replace(boost.scores, pr_auc=1.0))
    worse = msgspec.structs.replace(praised, validation=msgspec.structs.replace(boost.validation, pr_auc=0.1))
    assert best({**evaluations, "forest": worse}, "pr_auc") == "logistic"
    assert best({"majority": evaluations["majority"], "forest": worse}, "pr_auc") == "forest"
    assert best({"logistic": evaluations["logistic"], "forest": worse}, "pr_auc") == "logistic"
    assert best({"majority": evaluations["majority"]}, "pr_auc") == "majority"
    assert best_baseline({"boost": boost}, "pr_auc") is None
