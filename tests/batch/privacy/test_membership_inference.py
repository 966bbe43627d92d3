"""The attack detects memorization, and is at chance without it."""

from dataclasses import replace

import numpy as np
import pytest

from include.batch.privacy.membership_inference import Target, attack, build_target, max_advantage
from include.contracts.errors import TerminalError
from tests.batch.privacy.factories import visits


def halves(users: int, each: int) -> Target:
    result = visits(users, each)
    return Target(result, result.group % 2 == 0)


def test_attack_on_an_independent_model_is_at_chance() -> None:
    match = halves(2000, 3)
    p = np.clip(0.3 + 0.1 * match.samples.z[:, 0], 0.01, 0.99).astype(float)
    result = attack(match, p, 0.999)

    assert result.auc.contains(0.5)
    assert result.advantage.contains(0.0)
    assert (result.members, result.others) == (1000, 1000)


def test_attack_detects_memorization() -> None:
    match = halves(400, 3)
    p = np.where(match.member, np.where(match.samples.y, 0.99, 0.01), 0.3)
    result = attack(match, p, 0.95)

    assert result.auc.value > 0.99
    assert result.advantage.value > 0.9


def test_attack_interval_covers_chance_at_the_confidence_level() -> None:
    within = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        match = replace(visits(300, 1), y=np.ones(300, bool), group=np.arange(300))
        result = attack(Target(match, random.random(300) < 0.5), random.random(300), 0.9)
        within += result.auc.contains(0.5)
    assert 82 <= within <= 98


def test_attack_on_a_constant_model_is_at_chance() -> None:
    match = halves(200, 1)
    same = replace(match, samples=match.samples.with_labels(np.ones(200, bool)))
    result = attack(same, np.full(200, 0.4), 0.95)
    assert (result.auc.value, result.advantage.value) == (0.5, 0.0)


def test_attack_on_certain_predictions_is_finite() -> None:
    result = halves(50, 1)
    assert np.isfinite(attack(result, (~result.samples.y).astype(float), 0.95).auc.high)


def test_build_target_selects_members_and_non_members_of_the_same_days() -> None:
    match = replace(visits(6, 1), group=np.array([0, 0, 1, 2, 2, 3]))
    started = np.array([1, 9, 2, 3, 8, 1])
    result = build_target(match, np.array([0, 2]), started)

    # The trained-on visits are rows 0 and 2; row 1 is a later visit of a member, row 4 is too late, 3 began too late.
    assert result.samples.group.tolist() == [0, 1, 3]
    assert result.member.tolist() == [True, True, False]


def test_attack_with_too_few_users_raises() -> None:
    with pytest.raises(TerminalError, match="too few"):
        attack(halves(6, 2), np.full(12, 0.5), 0.95)


def test_max_advantage_grows_with_epsilon() -> None:
    assert max_advantage(0.0, 0.0) == 0.0
    assert max_advantage(1.0, 0.0) == pytest.approx(0.4621, abs=1e-4)
    assert max_advantage(700.0, 1e-5) == pytest.approx(1.0)
