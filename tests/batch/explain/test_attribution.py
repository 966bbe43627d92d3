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


def test_boosting_adds_up_to_its_log_odds() -> None:
    x, y = data()
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 3}, xgboost.QuantileDMatrix(x, y), 30)
    found = verify_additivity(
        explain_boosting(booster, x[:50], COLUMNS, booster.inplace_predict(x[:50]).astype(np.float64))
    )
    assert found.gap < 1e-4
    assert found.columns[found.order()[0]] == "matters"


def test_boosting_of_other_trees_than_those_that_answer_is_refused() -> None:
    x, y = data()
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 3}, xgboost.QuantileDMatrix(x, y), 30)
    probabilities = booster[:10].inplace_predict(x[:50]).astype(np.float64)
    with pytest.raises(TerminalError, match=r"explanation of boost is .* off its answers"):
        verify_additivity(explain_boosting(booster, x[:50], COLUMNS, probabilities))


def test_a_forest_adds_up_to_its_probability() -> None:
    x, y = data()
    forest = RandomForestClassifier(20, max_depth=5, random_state=1).fit(x, y)
    found = verify_additivity(explain_forest(forest, x[:30], COLUMNS, forest.predict_proba(x[:30])[:, 1]))
    assert found.gap < 1e-8
    assert found.columns[found.order()[0]] == "matters"


def linear(x: Matrix) -> Floats:
    logit = np.nan_to_num(x.astype(np.float64)) @ np.array([1.0, 0.0, -0.5, 0.25])
    found: Floats = 1 / (1 + np.exp(-logit))
    return found


def test_permutations_of_a_linear_model_are_its_terms() -> None:
    x = np.nan_to_num(data()[0])
    found = verify_additivity(explain_permutation("network", linear, x[:20], x[100:150], COLUMNS, seed=1))
    expected = (x[:20] - x[100:150].mean(axis=0)) * np.array([1.0, 0.0, -0.5, 0.25])
    assert np.allclose(found.values, expected, atol=1e-4)
    assert found.gap < 1e-6


def network(layers: tuple[int, ...]) -> DenseNetwork:
    random = np.random.default_rng(2)
    sizes = (len(columns.SCALED), *layers, 1)
    weights = [(random.normal(size=pair) / 4).astype(np.float32) for pair in itertools.pairwise(sizes)]
    return DenseNetwork(tuple(weights), tuple(np.full(size, 0.1, dtype=np.float32) for size in sizes[1:]))


@pytest.mark.parametrize("layers", [(), (4,)])
def test_networks_of_the_nightly_columns_add_up(layers: tuple[int, ...]) -> None:
    random = np.random.default_rng(3)
    x = random.random((60, len(columns.NAMES))).astype(np.float32)
    x[random.random(x.shape) < 0.1] = np.nan
    test = Samples(x, columns.scale(x), random.random(60) < 0.3, np.arange(60), columns.NAMES)
    wanted = msgspec.structs.replace(EXPLAIN, private_rows=5, background=10)
    found = explain(network(layers), test, wanted, seed=1)
    assert found.values.shape == (5, len(columns.NAMES))
    assert found.gap < 1e-6


def test_unknown_values_are_explained_as_any_other() -> None:
    x = data()[0]
    found = verify_additivity(explain_permutation("network", linear, x[:40], x[100:150], COLUMNS, seed=1))
    assert np.isfinite(found.values).all()


def test_the_same_seed_gives_the_same_values() -> None:
    def crooked(x: Matrix) -> Floats:
        known = np.nan_to_num(x.astype(np.float64))
        found: Floats = 1 / (1 + np.exp(-(known[:, 0] * known[:, 1] * known[:, 3])))
        return found

    x = data()[0]
    first, again = (
        explain_permutation("network", crooked, x[:10], x[100:120], COLUMNS, seed=3).values for _ in range(2)
    )
    assert np.array_equal(first, again)


def test_what_does_not_add_up_or_is_not_a_number_is_refused() -> None:
    for off in (0.1, float("nan")):
        base, values = np.zeros(2), np.full((2, 4), off)
        wrong = Attribution("boost", "log-odds", data(2)[0], COLUMNS, base, values, np.zeros(2))
        with pytest.raises(TerminalError, match="off its answers"):
            verify_additivity(wrong)


def test_certain_answers_have_finite_log_odds() -> None:
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()


@pytest.mark.parametrize("held_out", [2, 30, 100_000])
def test_nothing_is_explained_against_itself(held_out: int) -> None:
    rows, background = sample_rows(held_out, EXPLAIN, "private_network", seed=1)
    assert len(rows) == min(EXPLAIN.private_rows, held_out - len(background)) > 0
    assert len(background) == min(EXPLAIN.background, held_out // 2) > 0
    assert not set(rows) & set(background)
    assert max(rows.max(), background.max()) < held_out


def test_the_table_has_every_column_with_its_share_of_each_model() -> None:
    x, values = data(3)[0], np.array([[3.0, 0.0, -1.0, 0.0]] * 3)
    found = [Attribution(kind, "log-odds", x, COLUMNS, np.zeros(3), values, np.zeros(3)) for kind in ("boost", "a")]
    rows = list(importance_table(found))
    assert rows[0] == ("column", "meaning", "boost", "a")
    assert rows[1] == ("matters", "", "0.7500", "0.7500")
    assert [row[0] for row in rows[1:]] == ["matters", "gap", "noise", "interacts"]


def test_pictures_are_the_same_for_the_same_values(tmp_path: Path) -> None:
    x = data(60)[0]
    values = np.nan_to_num(x).astype(np.float64)
    found = Attribution("boost", "log-odds", x, COLUMNS, np.zeros(60), values, values.sum(axis=1))
    first, again = ({path.name: path.read_bytes() for path in draw(found, tmp_path / str(turn))} for turn in range(2))
    assert sorted(first) == ["explain-boost-dependence.png", "explain-boost-summary.png"]
    assert first == again
