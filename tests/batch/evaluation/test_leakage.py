"""Leakage checks: true positives and true negatives."""

import numpy as np
import pytest

from include.batch.evaluation.leakage import assert_no_leaks, find_leaks, shuffled_label_check, univariate_auc
from include.batch.models.boost import boost
from include.batch.models.logistic import logistic
from include.batch.samples import Samples
from include.contracts.errors import TerminalError
from tests.batch.factories import MODELS, samples

CLEAN = samples(4000, 1)
RANDOM = np.random.default_rng(3)


def with_column(values: np.ndarray) -> Samples:
    x = np.column_stack([CLEAN.x, values]).astype(np.float32)
    return Samples(x, CLEAN.z, CLEAN.y, CLEAN.group, (*CLEAN.columns, "leaky"))


def test_find_leaks_of_clean_data_is_empty() -> None:
    assert find_leaks(CLEAN, 0.95) == ()
    assert_no_leaks(CLEAN, 0.95)


@pytest.mark.parametrize(
    "values",
    [
        CLEAN.y + RANDOM.normal(0.0, 0.2, len(CLEAN)),
        -1.0 * CLEAN.y + RANDOM.normal(0.0, 0.2, len(CLEAN)),
        np.where(CLEAN.y, np.nan, RANDOM.normal(size=len(CLEAN))),
        np.where(CLEAN.y, 0.0, RANDOM.choice([-1.0, 1.0], len(CLEAN))),
        np.where(CLEAN.y, RANDOM.normal(0.0, 0.05, len(CLEAN)), RANDOM.choice([-3.0, 3.0], len(CLEAN))),
        np.where(CLEAN.y, np.inf, 0.0),
    ],
    ids=["rising", "falling", "unknown", "one value", "a middle range", "infinite"],
)
def test_find_leaks_names_an_injected_leak(values: np.ndarray) -> None:
    leaky = with_column(values)
    (result,) = find_leaks(leaky, 0.95)
    assert result.column == "leaky"
    assert result.roc_auc > 0.98
    with pytest.raises(TerminalError, match=r"leaky \("):
        assert_no_leaks(leaky, 0.95)


def test_univariate_auc_of_noise_and_constants_is_one_half() -> None:
    assert univariate_auc(RANDOM.normal(size=len(CLEAN)), CLEAN) < 0.55
    assert univariate_auc(RANDOM.integers(0, 500, len(CLEAN)).astype(np.float32), CLEAN) < 0.55
    assert univariate_auc(np.zeros(len(CLEAN)), CLEAN) == 0.5
    assert univariate_auc(CLEAN.x[:, 0], CLEAN.with_labels(np.zeros(len(CLEAN), dtype=bool))) == 0.5


@pytest.mark.parametrize("fit", [boost, logistic])
def test_shuffled_label_check_of_a_clean_split_passes(fit: object) -> None:
    result = shuffled_label_check(fit, samples(2000, 1), samples(600, 2), samples(2000, 3), MODELS, 100, 7)  # type: ignore[arg-type]
    assert result.ok
    assert result.roc_auc.low < 0.5 < result.roc_auc.high
    assert result.roc_auc.value == pytest.approx(0.5, abs=0.08)


def test_shuffled_label_check_with_users_on_both_sides_fails() -> None:
    train = samples(2000, 1)
    result = shuffled_label_check(boost, train, train, train.take(np.arange(1000)), MODELS, 100, 7)
    assert not result.ok
    assert result.roc_auc.low > 0.5


def test_shuffled_label_check_is_deterministic() -> None:
    parts = samples(800, 1), samples(300, 2), samples(600, 3)
    assert shuffled_label_check(boost, *parts, MODELS, 60, 7) == shuffled_label_check(boost, *parts, MODELS, 60, 7)


def test_shuffled_label_check_with_too_few_users_raises() -> None:
    one = samples(40, 1)
    same = Samples(one.x, one.z, one.y, np.zeros(40, dtype=np.int64), one.columns)
    with pytest.raises(TerminalError, match="too few users"):
        shuffled_label_check(boost, same, same, same, MODELS, 10, 7)
