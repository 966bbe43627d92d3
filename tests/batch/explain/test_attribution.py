import itertools
from pathlib import Path

import msgspec
import numpy as np
import pytest
import xgboost
from sklearn.ensemble import RandomForestClassifier

from include.batch.explain.attribution import (
    Attribution,
    explain_boosting,
    explain_forest,
    explain_permutation,
    log_odds,
    verify_additivity,
)
from include.batch.explain.explainer import explain, importance_table, sample_rows
from include.batch.explain.plots import draw
from include.batch.features import columns
from include.batch.models.dense import DenseNetwork
from include.batch.parameters import load
from include.batch.samples import Floats, Labels, Matrix, Samples
from include.contracts.errors import TerminalError

COLUMNS = ("matters", "noise", "gap", "interacts")
EXPLAIN = load().explain


def data(rows: int = 600) -> tuple[Matrix, Labels]:
    random = np.random.default_rng(5)
    x = random.normal(size=(rows, 4)).astype(np.float32)
    x[random.random(rows) < 0.2, 2] = np.nan
    logit = 2 * x[:, 0] + np.where(np.isnan(x[:, 2]), 1.0, 0.0) + x[:, 0] * x[:, 3]
    return x, random.random(rows) < 1 / (1 + np.exp(-logit))


def test_explain_boosting_adds_up_to_log_odds() -> None:
    x, y = data()
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 3}, xgboost.QuantileDMatrix(x, y), 30)
    result = verify_additivity(
        explain_boosting(booster, x[:50], COLUMNS, booster.inplace_predict(x[:50]).astype(np.float64))
    )
    assert result.gap < 1e-4
    assert result.columns[result.order()[0]] == "matters"


def test_verify_additivity_of_other_trees_raises() -> None:
    x, y = data()
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 3}, xgboost.QuantileDMatrix(x, y), 30)
    probabilities = booster[:10].inplace_predict(x[:50]).astype(np.float64)
    with pytest.raises(TerminalError, match=r"explanation of boost is .* off its predictions"):
        verify_additivity(explain_boosting(booster, x[:50], COLUMNS, probabilities))


def test_explain_forest_adds_up_to_the_probability() -> None:
    x, y = data()
    forest = RandomForestClassifier(20, max_depth=5, random_state=1).fit(x, y)
    result = verify_additivity(explain_forest(forest, x[:30], COLUMNS, forest.predict_proba(x[:30])[:, 1]))
    assert result.gap < 1e-8
    assert result.columns[result.order()[0]] == "matters"


def linear(x: Matrix) -> Floats:
    logit = np.nan_to_num(x.astype(np.float64)) @ np.array([1.0, 0.0, -0.5, 0.25])
    result: Floats = 1 / (1 + np.exp(-logit))
    return result


def test_explain_permutation_of_a_linear_model_equals_its_terms() -> None:
    x = np.nan_to_num(data()[0])
    result = verify_additivity(explain_permutation("network", linear, x[:20], x[100:150], COLUMNS, seed=1))
    expected = (x[:20] - x[100:150].mean(axis=0)) * np.array([1.0, 0.0, -0.5, 0.25])
    assert np.allclose(result.values, expected, atol=1e-4)
    assert result.gap < 1e-6


def network(layers: tuple[int, ...]) -> DenseNetwork:
    random = np.random.default_rng(2)
    sizes = (len(columns.SCALED), *layers, 1)
    weights = [(random.normal(size=pair) / 4).astype(np.float32) for pair in itertools.pairwise(sizes)]
    return DenseNetwork(tuple(weights), tuple(np.full(size, 0.1, dtype=np.float32) for size in sizes[1:]))


@pytest.mark.parametrize("layers", [(), (4,)])
def test_explain_of_a_network_adds_up(layers: tuple[int, ...]) -> None:
    random = np.random.default_rng(3)
    x = random.random((60, len(columns.NAMES))).astype(np.float32)
    x[random.random(x.shape) < 0.1] = np.nan
    test = Samples(x, columns.scale(x), random.random(60) < 0.3, np.arange(60), columns.NAMES)
    expected = msgspec.structs.replace(EXPLAIN, private_rows=5, background=10)
    result = explain(network(layers), test, expected, seed=1)
    assert result.values.shape == (5, len(columns.NAMES))
    assert result.gap < 1e-6


def test_explain_permutation_of_nan_is_finite() -> None:
    x = data()[0]
    result = verify_additivity(explain_permutation("network", linear, x[:40], x[100:150], COLUMNS, seed=1))
    assert np.isfinite(result.values).all()


def test_explain_permutation_with_equal_seeds_is_equal() -> None:
    def crooked(x: Matrix) -> Floats:
        valid = np.nan_to_num(x.astype(np.float64))
        result: Floats = 1 / (1 + np.exp(-(valid[:, 0] * valid[:, 1] * valid[:, 3])))
        return result

    x = data()[0]
    first, again = (
        explain_permutation("network", crooked, x[:10], x[100:120], COLUMNS, seed=3).values for _ in range(2)
    )
    assert np.array_equal(first, again)


def test_verify_additivity_of_a_gap_or_nan_raises() -> None:
    for off in (0.1, float("nan")):
        base, values = np.zeros(2), np.full((2, 4), off)
        mismatched = Attribution("boost", "log-odds", data(2)[0], COLUMNS, base, values, np.zeros(2))
        with pytest.raises(TerminalError, match="off its predictions"):
            verify_additivity(mismatched)


def test_log_odds_of_certain_predictions_are_finite() -> None:
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()


@pytest.mark.parametrize("test_rows", [2, 30, 100_000])
def test_sample_rows_and_background_are_disjoint(test_rows: int) -> None:
    rows, background = sample_rows(test_rows, EXPLAIN, "private_network", seed=1)
    assert len(rows) == min(EXPLAIN.private_rows, test_rows - len(background)) > 0
    assert len(background) == min(EXPLAIN.background, test_rows // 2) > 0
    assert not set(rows) & set(background)
    assert max(rows.max(), background.max()) < test_rows


def test_importance_table_has_a_share_per_column_and_model() -> None:
    x, values = data(3)[0], np.array([[3.0, 0.0, -1.0, 0.0]] * 3)
    results = [Attribution(kind, "log-odds", x, COLUMNS, np.zeros(3), values, np.zeros(3)) for kind in ("boost", "a")]
    rows = list(importance_table(results))
    assert rows[0] == ("column", "meaning", "boost", "a")
    assert rows[1] == ("matters", "", "0.7500", "0.7500")
    assert [row[0] for row in rows[1:]] == ["matters", "gap", "noise", "interacts"]


def test_draw_of_equal_values_writes_equal_files(tmp_path: Path) -> None:
    x = data(60)[0]
    values = np.nan_to_num(x).astype(np.float64)
    result = Attribution("boost", "log-odds", x, COLUMNS, np.zeros(60), values, values.sum(axis=1))
    first, again = ({path.name: path.read_bytes() for path in draw(result, tmp_path / str(turn))} for turn in range(2))
    assert sorted(first) == ["explain-boost-dependence.png", "explain-boost-summary.png"]
    assert first == again
