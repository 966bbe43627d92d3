"""Noise: unpredictable without the key, and distributed as accounted."""

import numpy as np
import pytest
from scipy.stats import kstest

from include.batch.privacy.noise import Noise
from include.contracts.errors import SettingsError
from include.contracts.setting import Secret
from include.contracts.settings import BatchSettings, Settings

KEY = Secret("k" * 32)


def test_noise_is_deterministic_per_key_and_release() -> None:
    own = Settings(batch=BatchSettings(noise_key=KEY))
    first = Noise.for_release(own.batch, "release").uniform(100)

    assert (Noise.for_release(own.batch, "release").uniform(100) == first).all()
    assert not np.isin(Noise.for_release(own.batch, "other").uniform(100), first).any()
    assert not np.isin(
        Noise.for_release(Settings(batch=BatchSettings(noise_key=Secret("l" * 32))).batch, "release").uniform(100),
        first,
    ).any()


@pytest.mark.parametrize("key", ["", "qqqqq"])
def test_noise_without_a_key_raises_and_hides_the_key(key: str) -> None:
    with pytest.raises(SettingsError, match="NOISE_KEY") as raised:
        Noise.for_release(Settings(batch=BatchSettings(noise_key=Secret(key))).batch, "release")
    assert not key or key not in str(raised.value)


def test_noise_is_normal_uniform_and_never_repeats() -> None:
    noise = Noise(b"seed")
    normal, uniform, later = noise.normal(50_000), noise.uniform(50_000), noise.uniform(50_000)

    assert kstest(normal, "norm").pvalue > 0.001
    assert kstest(uniform, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(uniform, later)[0, 1]) < 0.02
    assert uniform.min() > 0.0
    assert uniform.max() < 1.0


def test_sample_users_is_independent_per_user() -> None:
    noise = Noise(b"seed")
    drawn = [noise.sample_users(1000, 0.1) for _ in range(400)]
    sizes = np.array([len(users) for users in drawn])

    assert sizes.mean() == pytest.approx(100, rel=0.03)
    # The variance distinguishes Poisson sampling from batches of a fixed size and from shuffling.
    assert sizes.var() == pytest.approx(90, rel=0.25)
    assert np.bincount(np.concatenate(drawn), minlength=1000).var() == pytest.approx(36, rel=0.25)
    assert len(noise.sample_users(50, 1.0)) == 50
