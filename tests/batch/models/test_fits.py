"""Every kind of model: learns, is deterministic, and round-trips through its folder."""

from pathlib import Path

import numpy as np
import pytest

from include.batch.evaluation.metrics import score
from include.batch.models import artifact
from include.batch.models.baselines import OneRule, one_rule
from include.batch.models.boost import boost
from include.batch.models.fit import FITS
from include.batch.models.model import BASELINES, Model
from include.batch.samples import Samples
from tests.batch.factories import MODELS, samples

TRAIN, VALIDATION, TEST = samples(3000, 1), samples(600, 2), samples(1500, 3)
LEAST = {"majority": 0.5, "one_rule": 0.7, "logistic": 0.84, "forest": 0.84, "boost": 0.84, "network": 0.84}


@pytest.fixture(scope="module")
def fitted() -> dict[str, Model]:
    return {kind: fit(TRAIN, VALIDATION, MODELS, 7) for kind, fit in FITS.items()}


@pytest.mark.parametrize("kind", FITS)
def test_fit_learns_and_predicts_probabilities(kind: str, fitted: dict[str, Model]) -> None:
    model = fitted[kind]
    result = model.probabilities(TEST)
    assert (model.kind, model.private) == (kind, False)
    assert result.shape == (len(TEST),)
    assert result.dtype == np.float64
    assert score(TEST.y, result, 0.5).roc_auc >= LEAST[kind]
    assert result.mean() == pytest.approx(TEST.y.mean(), abs=0.05)


@pytest.mark.parametrize("kind", FITS)
def test_probabilities_ignore_labels_and_users(kind: str, fitted: dict[str, Model]) -> None:
    blind = Samples(TEST.x, TEST.z, ~TEST.y, TEST.group[::-1], TEST.columns)
    assert np.array_equal(fitted[kind].probabilities(blind), fitted[kind].probabilities(TEST))


@pytest.mark.parametrize("kind", FITS)
def test_fit_with_equal_input_and_seed_is_equal(kind: str, fitted: dict[str, Model], tmp_path: Path) -> None:
    again = FITS[kind](TRAIN, VALIDATION, MODELS, 7)
    assert np.array_equal(again.probabilities(TEST), fitted[kind].probabilities(TEST))
    digests = {artifact.save(model, tmp_path / kind, TRAIN.columns) for model in (again, fitted[kind])}
    assert len(digests) == 1


@pytest.mark.parametrize("kind", ["forest", "boost", "network"])
def test_fit_with_another_seed_differs(kind: str, fitted: dict[str, Model]) -> None:
    other = FITS[kind](TRAIN, VALIDATION, MODELS, 8)
    assert not np.array_equal(other.probabilities(TEST), fitted[kind].probabilities(TEST))


@pytest.mark.parametrize("kind", FITS)
def test_model_round_trips_through_the_folder(kind: str, fitted: dict[str, Model], tmp_path: Path) -> None:
    artifact.save(fitted[kind], tmp_path / kind, TRAIN.columns)
    loaded = artifact.load(tmp_path / kind)
    assert loaded.kind == kind
    assert np.array_equal(loaded.probabilities(TEST), fitted[kind].probabilities(TEST))


@pytest.mark.parametrize("kind", ["one_rule", "forest", "boost"])
def test_probabilities_of_nan_are_finite(kind: str, fitted: dict[str, Model]) -> None:
    unknown = Samples(np.full_like(TEST.x, np.nan), TEST.z, TEST.y, TEST.group, TEST.columns)
    assert np.isfinite(fitted[kind].probabilities(unknown)).all()


def test_one_rule_uses_the_most_informative_column() -> None:
    rule = one_rule(TRAIN, VALIDATION, MODELS, 7).rule
    assert (rule.column, rule.index) == ("c0", 0)
    assert rule.below < rule.above


def test_one_rule_learns_the_side_of_nan() -> None:
    y = TRAIN.y
    x = np.where(y, np.nan, 1.0).astype(np.float32)[:, None]
    both = Samples(x, x, y, TRAIN.group, ("planted",))
    result = one_rule(both, both, MODELS, 7).probabilities(both)
    assert result[y].min() > 0.99
    assert result[~y].max() < 0.01


def test_one_rule_of_constant_columns_is_the_base_rate() -> None:
    flat = Samples(np.zeros((100, 1), np.float32), np.zeros((100, 1), np.float32), TRAIN.y[:100], TRAIN.group, ("c",))
    rule = one_rule(flat, flat, MODELS, 7)
    assert isinstance(rule, OneRule)
    assert rule.rule.below == rule.rule.above == pytest.approx(TRAIN.y[:100].mean(), abs=0.02)


def test_boost_stops_early_on_the_validation_part() -> None:
    noise = VALIDATION.with_labels(np.random.default_rng(1).permutation(VALIDATION.y))
    assert boost(TRAIN, noise, MODELS, 7).booster.num_boosted_rounds() < 10


def test_baselines_are_kinds() -> None:
    assert set(BASELINES) < set(FITS)
