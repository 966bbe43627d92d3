"""Epsilon of the training's mechanism, verified by independent methods."""

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from include.batch.privacy import accountant, recompute
from include.batch.privacy.mechanism import Mechanism, Request, calibrate, decode
from include.contracts.errors import SettingsError, TerminalError
from tests.batch.privacy.factories import mechanism


@pytest.mark.parametrize(
    ("sigma", "rate", "steps"), [(9.6, 0.104, 600), (1.7, 0.1, 600), (5.0, 1.0, 10), (1.1, 0.01, 1000)]
)
def test_epsilon_agrees_with_recomputation_and_renyi_bound(sigma: float, rate: float, steps: int) -> None:
    result = mechanism(sigma=sigma, rate=rate, steps=steps)
    epsilon = accountant.epsilon(result)

    assert recompute.agrees(epsilon, recompute.epsilon(sigma, rate, steps, result.delta))
    assert epsilon < accountant.renyi_bound(result)


def test_epsilon_of_the_baseline_project_is_above_a_million() -> None:
    assert accountant.renyi_bound(mechanism(sigma=0.01, rate=128 / 9864, steps=770)) > 1e6


def test_epsilon_of_a_gaussian_mechanism_equals_the_closed_form() -> None:
    # Balle and Wang, "Improving the Gaussian mechanism for differential privacy", ICML 2018, theorem 8.
    sigma, epsilon = 2.0, 0.8
    at, past = 1 / (2 * sigma) - epsilon * sigma, -1 / (2 * sigma) - epsilon * sigma
    delta = float(ndtr(at) - math.exp(epsilon) * ndtr(past))
    assert accountant.epsilon(mechanism(sigma=sigma, rate=1.0, steps=1, delta=delta)) == pytest.approx(
        epsilon, abs=1e-3
    )


@settings(max_examples=8, deadline=None)
@given(st.floats(0.8, 20.0), st.floats(1.05, 2.0))
def test_epsilon_decreases_with_sigma(sigma: float, times: float) -> None:
    assert accountant.epsilon(mechanism(sigma=sigma * times)) < accountant.epsilon(mechanism(sigma=sigma))


@pytest.mark.parametrize("change", [{"rate": 0.2}, {"steps": 120}, {"delta": 1e-6}])
def test_epsilon_increases_with_rate_steps_and_smaller_delta(change: dict[str, float]) -> None:
    assert accountant.epsilon(mechanism(**change)) > accountant.epsilon(mechanism())


def test_clip_scales_noise_but_not_epsilon() -> None:
    assert accountant.epsilon(mechanism(clip=5.0)) == accountant.epsilon(mechanism())
    assert mechanism(clip=5.0).noise_std == 5.0 * mechanism().noise_std


def test_compose_is_between_maximum_and_sum() -> None:
    releases = [mechanism(), mechanism(sigma=4.0), mechanism(rate=0.15)]
    together = accountant.compose(releases, 1e-5)

    assert max(map(accountant.epsilon, releases)) < together < sum(map(accountant.epsilon, releases))
    assert accountant.compose([], 1e-5) == 0.0
    twice = accountant.compose([releases[0]] * 2, 1e-5)
    assert twice == pytest.approx(accountant.epsilon(mechanism(steps=120)), rel=1e-6)


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 3.0, 8.0])
def test_calibrate_is_tight(epsilon: float) -> None:
    result = calibrate(Request(epsilon=epsilon, delta=1e-5, users=9864, expected_users=1024, steps=600, clip=1.0))

    assert 0.99 * epsilon < accountant.epsilon(result) <= epsilon
    assert result.rate == 0.104
    assert result.expected_users == pytest.approx(1024, rel=0.005)


def test_calibrate_with_few_users_samples_all() -> None:
    result = calibrate(Request(epsilon=1.0, delta=1e-5, users=300, expected_users=1024, steps=20, clip=1.0))
    assert (result.rate, result.expected_users) == (1.0, 300)


@pytest.mark.parametrize(("users", "delta"), [(0, 1e-5), (100_000, 1e-5), (10, 0.5)])
def test_calibrate_with_a_meaningless_delta_raises(users: int, delta: float) -> None:
    with pytest.raises(SettingsError, match=r"set private\.delta below"):
        calibrate(Request(epsilon=1.0, delta=delta, users=users, expected_users=10, steps=10, clip=1.0))


@pytest.mark.parametrize(
    "change",
    [{"sigma": 0.0}, {"sigma": float("nan")}, {"rate": 1.5}, {"steps": 0}, {"delta": -1.0}, {"clip": float("inf")}],
)
def test_invalid_mechanism_raises(change: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="mechanism"):
        mechanism(**change)


def test_decode_round_trips_and_rejects_invalid_documents() -> None:
    document: dict[str, object] = msgspec.to_builtins(mechanism())

    assert decode(document) == mechanism()
    for broken in (
        {},
        None,
        document | {"sampling": "shuffled"},
        document | {"sigma": -1},
        document | {"unit": "visit"},
    ):
        with pytest.raises(TerminalError, match="no readable mechanism"):
            decode(broken)


def test_epsilon_depends_on_the_mechanism_only() -> None:
    logged = msgspec.json.decode(msgspec.json.encode(mechanism()), type=Mechanism)
    assert accountant.epsilon(logged) == accountant.epsilon(mechanism())


def test_calibrate_of_an_unreachable_epsilon_raises() -> None:
    with pytest.raises(SettingsError, match="no noise achieves epsilon"):
        calibrate(Request(epsilon=1e-4, delta=1e-9, users=300, expected_users=1024, steps=5000, clip=1.0))
