"""Intervals are over users, hold what they should, and come out alike each time."""

import numpy as np
import pytest

from include.batch.evaluation import bootstrap
from include.batch.evaluation.bootstrap import bootstrap_std, intervals, paired
from include.batch.evaluation.metrics import score
from include.batch.evaluation.weighted_metrics import METRICS
from include.batch.samples import Floats, Labels, Rows
from include.contracts.errors import TerminalError


def drawn(users: int, visits: int, seed: int = 3) -> tuple[Labels, Floats, Rows]:
    """Visits of users; a user's visits are alike."""
    random = np.random.default_rng(seed)
    p = np.repeat(random.random(users), visits)
    y = np.repeat(random.random(users) < random.permutation(users) / users, visits)
    return y, np.clip(0.7 * p + 0.3 * y, 0.0, 1.0), np.repeat(np.arange(users), visits)


def test_each_figure_lies_within_its_interval() -> None:
    y, p, group = drawn(300, 1)
    found = intervals(y, p, group, 200, 0.95, 7, threshold=0.4)
    expected = score(y, p, 0.4)
    assert set(found) == set(METRICS)
    for name, interval in found.items():
        assert interval.value == pytest.approx(getattr(expected, name)), name
        assert interval.low < interval.high, name
    for name in ("roc_auc", "pr_auc", "brier", "log_loss", "f1", "accuracy"):
        assert found[name].contains(found[name].value), name


def test_copies_of_a_users_visits_are_no_new_evidence() -> None:
    once, often = drawn(200, 1), drawn(200, 8)
    narrow = intervals(*often[:2], np.arange(1600), 300, 0.95, 7)["roc_auc"]
    one, many = (intervals(*data, 300, 0.95, 7)["roc_auc"] for data in (once, often))
    assert many.high - many.low == pytest.approx(one.high - one.low, rel=0.05)
    assert narrow.high - narrow.low < 0.6 * (many.high - many.low)


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(120):
        random = np.random.default_rng(seed)
        y = random.random(300) < 0.3
        held += intervals(y, random.random(300), np.arange(300), 150, 0.9, seed)["roc_auc"].contains(0.5)
    assert 0.8 <= held / 120 <= 0.97


def test_the_same_seed_gives_the_same_interval_whatever_the_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    data = drawn(60, 2)
    first = intervals(*data, 50, 0.95, 7)
    monkeypatch.setattr(bootstrap, "CELLS", 1000)
    again = intervals(*data, 50, 0.95, 7)
    assert all(first[name].low == pytest.approx(again[name].low) for name in METRICS)
    assert intervals(*data, 50, 0.95, 8)["brier"] != first["brier"]


def test_a_model_differs_from_itself_by_nothing() -> None:
    y, p, group = drawn(100, 2)
    found = paired(y, p, p, group, "pr_auc", 100, 0.95, 7)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_a_better_model_is_seen_sooner_in_pairs_than_apart() -> None:
    y, p, group = drawn(400, 1)
    worse = np.clip(p - 0.06 * y, 0.0, 1.0)
    found = paired(y, p, worse, group, "roc_auc", 300, 0.95, 7)
    assert 0.0 < found.low < found.value < found.high
    assert paired(y, worse, p, group, "roc_auc", 300, 0.95, 7).high < 0.0
    apart = [intervals(y, scores, group, 300, 0.95, 7)["roc_auc"] for scores in (p, worse)]
    assert found.high - found.low < apart[0].high - apart[0].low
    assert found.value == pytest.approx(apart[0].value - apart[1].value)


def test_deviation_is_that_of_the_draws() -> None:
    random = np.random.default_rng(5)
    y = random.random(2000) < 0.5
    value, spread = bootstrap_std(y, random.random(2000), np.arange(2000), "accuracy", 300, 7)
    assert value == pytest.approx(0.5, abs=0.05)
    assert spread == pytest.approx(0.5 / np.sqrt(2000), rel=0.2)


@pytest.mark.parametrize(
    ("group", "told"), [(np.zeros(4, dtype=np.int64), "at least two"), (np.zeros(3, dtype=np.int64), "groups")]
)
def test_users_are_needed(group: Rows, told: str) -> None:
    with pytest.raises(TerminalError, match=told):
        intervals(np.array([True, False, True, False]), np.full(4, 0.5), group, 10, 0.95, 7)
    with pytest.raises(TerminalError, match="no probabilities"):
        paired(np.array([True, False]), np.full(2, 0.5), np.full(2, 7.0), np.arange(2), "brier", 10, 0.95, 7)


def test_draws_without_both_outcomes_are_left_out() -> None:
    y, p = np.array([True, False, False]), np.array([0.9, 0.1, 0.2])
    found = intervals(y, p, np.arange(3), 50, 0.95, 7)["roc_auc"]
    assert (found.low, found.high) == (1.0, 1.0)
