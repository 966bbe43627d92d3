"""Bootstrap intervals: over users, with correct coverage, deterministic."""

import numpy as np
import pytest

from include.batch.evaluation import bootstrap
from include.batch.evaluation.bootstrap import bootstrap_std, intervals, paired_interval
from include.batch.evaluation.metrics import score
from include.batch.evaluation.weighted_metrics import METRICS
from include.batch.samples import Floats, Labels, Rows
from include.contracts.errors import TerminalError


def correlated_visits(users: int, visits: int, seed: int = 3) -> tuple[Labels, Floats, Rows]:
    """Return visits of users; the visits of one user are correlated."""
    random = np.random.default_rng(seed)
    p = np.repeat(random.random(users), visits)
    y = np.repeat(random.random(users) < random.permutation(users) / users, visits)
    return y, np.clip(0.7 * p + 0.3 * y, 0.0, 1.0), np.repeat(np.arange(users), visits)


def test_intervals_contain_their_point_estimates() -> None:
    y, p, group = correlated_visits(300, 1)
    result = intervals(y, p, group, 200, 0.95, 7, threshold=0.4)
    expected = score(y, p, 0.4)
    assert set(result) == set(METRICS)
    for name, interval in result.items():
        assert interval.value == pytest.approx(getattr(expected, name)), name
        assert interval.low < interval.high, name
    for name in ("roc_auc", "pr_auc", "brier", "log_loss", "f1", "accuracy"):
        assert result[name].contains(result[name].value), name


def test_intervals_do_not_shrink_for_copied_visits() -> None:
    once, often = correlated_visits(200, 1), correlated_visits(200, 8)
    narrow = intervals(*often[:2], np.arange(1600), 300, 0.95, 7)["roc_auc"]
    one, many = (intervals(*data, 300, 0.95, 7)["roc_auc"] for data in (once, often))
    assert many.high - many.low == pytest.approx(one.high - one.low, rel=0.05)
    assert narrow.high - narrow.low < 0.6 * (many.high - many.low)


def test_intervals_cover_the_true_value_at_the_confidence_level() -> None:
    stored = 0
    for seed in range(120):
        random = np.random.default_rng(seed)
        y = random.random(300) < 0.3
        stored += intervals(y, random.random(300), np.arange(300), 150, 0.9, seed)["roc_auc"].contains(0.5)
    assert 0.8 <= stored / 120 <= 0.97


def test_intervals_with_equal_seeds_are_equal_for_any_chunk_size(monkeypatch: pytest.MonkeyPatch) -> None:
    data = correlated_visits(60, 2)
    first = intervals(*data, 50, 0.95, 7)
    monkeypatch.setattr(bootstrap, "MAX_CELLS", 1000)
    again = intervals(*data, 50, 0.95, 7)
    assert all(first[name].low == pytest.approx(again[name].low) for name in METRICS)
    assert intervals(*data, 50, 0.95, 8)["brier"] != first["brier"]


def test_paired_of_a_model_with_itself_is_zero() -> None:
    y, p, group = correlated_visits(100, 2)
    result = paired_interval(y, p, p, group, "pr_auc", 100, 0.95, 7)
    assert (result.value, result.low, result.high) == (0.0, 0.0, 0.0)


def test_paired_interval_is_narrower_than_unpaired_intervals() -> None:
    y, p, group = correlated_visits(400, 1)
    worse = np.clip(p - 0.06 * y, 0.0, 1.0)
    result = paired_interval(y, p, worse, group, "roc_auc", 300, 0.95, 7)
    assert 0.0 < result.low < result.value < result.high
    assert paired_interval(y, worse, p, group, "roc_auc", 300, 0.95, 7).high < 0.0
    apart = [intervals(y, scores, group, 300, 0.95, 7)["roc_auc"] for scores in (p, worse)]
    assert result.high - result.low < apart[0].high - apart[0].low
    assert result.value == pytest.approx(apart[0].value - apart[1].value)


def test_bootstrap_std_equals_the_analytic_value() -> None:
    random = np.random.default_rng(5)
    y = random.random(2000) < 0.5
    value, spread = bootstrap_std(y, random.random(2000), np.arange(2000), "accuracy", 300, 7)
    assert value == pytest.approx(0.5, abs=0.05)
    assert spread == pytest.approx(0.5 / np.sqrt(2000), rel=0.2)


@pytest.mark.parametrize(
    ("group", "summary"), [(np.zeros(4, dtype=np.int64), "at least two"), (np.zeros(3, dtype=np.int64), "groups")]
)
def test_intervals_without_enough_users_raise(group: Rows, summary: str) -> None:
    with pytest.raises(TerminalError, match=summary):
        intervals(np.array([True, False, True, False]), np.full(4, 0.5), group, 10, 0.95, 7)
    with pytest.raises(TerminalError, match="not probabilities"):
        paired_interval(np.array([True, False]), np.full(2, 0.5), np.full(2, 7.0), np.arange(2), "brier", 10, 0.95, 7)


def test_intervals_skip_resamples_with_one_outcome() -> None:
    y, p = np.array([True, False, False]), np.array([0.9, 0.1, 0.2])
    result = intervals(y, p, np.arange(3), 50, 0.95, 7)["roc_auc"]
    assert (result.low, result.high) == (1.0, 1.0)
