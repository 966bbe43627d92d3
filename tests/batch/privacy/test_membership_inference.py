"""The attack finds a model that learnt its users by heart, and nothing where there is nothing."""

from dataclasses import replace

import numpy as np
import pytest

from include.batch.privacy.membership_inference import Target, attack, build_target, max_advantage
from include.contracts.errors import TerminalError
from tests.batch.privacy.factories import visits


def halves(users: int, each: int) -> Target:
    found = visits(users, each)
    return Target(found, found.group % 2 == 0)


def test_a_model_that_knows_nothing_of_its_users_gives_nothing_away() -> None:
    found = halves(2000, 3)
    p = np.clip(0.3 + 0.1 * found.samples.z[:, 0], 0.01, 0.99).astype(float)
    result = attack(found, p, 0.999)

    assert result.auc.contains(0.5)
    assert result.advantage.contains(0.0)
    assert (result.members, result.others) == (1000, 1000)


def test_learning_by_heart_is_found_out() -> None:
    found = halves(400, 3)
    p = np.where(found.member, np.where(found.samples.y, 0.99, 0.01), 0.3)
    result = attack(found, p, 0.95)

    assert result.auc.value > 0.99
    assert result.advantage.value > 0.9


def test_the_interval_covers_what_it_should() -> None:
    within = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        found = replace(visits(300, 1), y=np.ones(300, bool), group=np.arange(300))
        result = attack(Target(found, random.random(300) < 0.5), random.random(300), 0.9)
        within += result.auc.contains(0.5)
    assert 82 <= within <= 98


def test_a_constant_is_no_better_than_chance_though_all_scores_are_equal() -> None:
    found = halves(200, 1)
    same = replace(found, samples=found.samples.labelled(np.ones(200, bool)))
    result = attack(same, np.full(200, 0.4), 0.95)
    assert (result.auc.value, result.advantage.value) == (0.5, 0.0)


def test_certain_and_wrong_is_finite() -> None:
    found = halves(50, 1)
    assert np.isfinite(attack(found, (~found.samples.y).astype(float), 0.95).auc.high)


def test_others_are_users_never_trained_on_in_the_same_days() -> None:
    found = replace(visits(6, 1), group=np.array([0, 0, 1, 2, 2, 3]))
    started = np.array([1, 9, 2, 3, 8, 1])
    result = build_target(found, np.array([0, 2]), started)

    # The trained-on visits are rows 0 and 2; row 1 is a later visit of a member, row 4 is too late, 3 began too late.
    assert result.samples.group.tolist() == [0, 1, 3]
    assert result.member.tolist() == [True, True, False]


def test_too_few_users_are_told() -> None:
    with pytest.raises(TerminalError, match="too few"):
        attack(halves(6, 2), np.full(12, 0.5), 0.95)


def test_the_bound_is_one_without_privacy_and_small_with_much() -> None:
    assert max_advantage(0.0, 0.0) == 0.0
    assert max_advantage(1.0, 0.0) == pytest.approx(0.4621, abs=1e-4)
    assert max_advantage(700.0, 1e-5) == pytest.approx(1.0)
