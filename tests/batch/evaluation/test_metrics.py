"""Metrics equal scikit-learn's, and reject invalid input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, log_loss, roc_auc_score

from include.batch.evaluation.metrics import calibration, calibration_error, score, threshold_at_rate
from include.batch.evaluation.weighted_metrics import METRICS, WeightedMetrics
from include.contracts.errors import TerminalError

RANDOM = np.random.default_rng(1)
Y = RANDOM.random(500) < 0.3
P = np.clip(np.round(0.3 + 0.2 * Y + RANDOM.normal(0.0, 0.15, 500), 2), 0.0, 1.0)


def test_score_equals_scikit_learn() -> None:
    result = score(Y, P, 0.45)
    assert result.rows == 500
    assert result.positives == Y.sum()
    assert result.base_rate == pytest.approx(Y.mean())
    assert result.brier == pytest.approx(np.mean((P - Y) ** 2))
    assert result.f1 == pytest.approx(f1_score(Y, P >= 0.45))
    assert result.accuracy == pytest.approx(accuracy_score(Y, P >= 0.45))
    assert result.log_loss == pytest.approx(log_loss(Y, P))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_weighted_metrics_equal_metrics_of_repeated_rows(data: st.DataObject) -> None:
    rows = data.draw(st.integers(4, 30))
    y = np.array(data.draw(st.lists(st.booleans(), min_size=rows, max_size=rows)))
    y[:2] = [True, False]
    p = np.array(data.draw(st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), min_size=rows, max_size=rows)))
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows)))
    weights[:2] = 1
    result = WeightedMetrics(y, p, 0.4).compute(weights[None, :].astype(float))
    again = np.repeat(np.arange(rows), weights)
    expected = score(y[again], p[again], 0.4)
    for name in set(METRICS) - {"calibration_error"}:
        assert result[name][0] == pytest.approx(getattr(expected, name)), name


def test_weighted_calibration_error_with_unit_weights_equals_unweighted() -> None:
    result = WeightedMetrics(Y, P).compute(np.ones((1, len(Y))), ("calibration_error",))
    assert result["calibration_error"][0] == pytest.approx(calibration_error(calibration(Y, P)))


def test_weighted_ranking_metrics_with_one_outcome_are_nan() -> None:
    result = WeightedMetrics(Y, P).compute(Y[None, :].astype(float), ("roc_auc", "pr_auc", "brier"))
    assert np.isnan(result["roc_auc"][0])
    assert np.isnan(result["pr_auc"][0])
    assert np.isfinite(result["brier"][0])


def test_weighted_ranking_metrics_with_ties_equal_scikit_learn() -> None:
    coarse = np.round(P, 1)
    result = WeightedMetrics(Y, coarse).compute(np.ones((1, len(Y))), ("roc_auc", "pr_auc"))
    assert result["roc_auc"][0] == pytest.approx(roc_auc_score(Y, coarse))
    assert result["pr_auc"][0] == pytest.approx(average_precision_score(Y, coarse))


@pytest.mark.parametrize(
    ("y", "p", "summary"),
    [
        ([True, True], [0.1, 0.2], "same outcome"),
        ([False, False], [0.1, 0.2], "same outcome"),
        ([True, False], [0.1, np.nan], "1 of 2 scores are not probabilities"),
        ([True, False], [0.1, 1.5], "1 of 2 scores are not probabilities"),
        ([True, False], [-0.1, np.inf], "2 of 2 scores are not probabilities"),
        ([True, False], [0.1], "pass one score"),
        ([], [], "at least one"),
    ],
)
def test_score_of_invalid_input_raises(y: list[bool], p: list[float], summary: str) -> None:
    with pytest.raises(TerminalError, match=summary):
        score(np.array(y, dtype=bool), np.array(p), 0.5)


@pytest.mark.parametrize(
    ("p", "rate", "called"),
    [
        ([0.1, 0.2, 0.3, 0.4], 0.25, 1),
        ([0.1, 0.2, 0.3, 0.4], 0.5, 2),
        ([0.1, 0.4, 0.4, 0.4], 0.5, 3),
        ([0.1, 0.2], 0.75, 1),
        ([0.2] * 10, 0.15, 0),
        ([0.2] * 10, 0.85, 10),
        ([1.0] * 3, 0.1, 0),
    ],
)
def test_threshold_at_rate_predicts_the_given_rate(p: list[float], rate: float, called: int) -> None:
    scores = np.array(p)
    assert int(np.sum(scores >= threshold_at_rate(scores, rate))) == called


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=50), st.floats(0.01, 0.99))
def test_threshold_at_rate_is_optimal(p: list[float], rate: float) -> None:
    scores = np.array(p)
    result = abs(np.mean(scores >= threshold_at_rate(scores, rate)) - rate)
    others = [abs(np.mean(scores >= other) - rate) for other in [*p, 2.0]]
    assert result <= min(others) + 1e-12


def test_threshold_at_rate_without_scores_raises() -> None:
    with pytest.raises(TerminalError):
        threshold_at_rate(np.empty(0), 0.1)


def test_calibration_bins_have_equal_sizes_and_cover_all_rows() -> None:
    p = RANDOM.random(1000)
    table = calibration(RANDOM.random(1000) < p, p)
    assert [part.rows for part in table] == [100] * 10
    assert calibration_error(table) < 0.08
    assert [part.predicted for part in table] == sorted(part.predicted for part in table)


def test_calibration_of_equal_probabilities_has_one_bin() -> None:
    (only,) = calibration(Y, np.full(len(Y), 0.5))
    assert (only.rows, only.predicted) == (len(Y), 0.5)
    assert only.observed == pytest.approx(Y.mean())
