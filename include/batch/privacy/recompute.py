"""Recompute epsilon from a mechanism's numbers, without code of the accountant.

The privacy loss of one step is put on a grid and convolved with itself by Fourier transform (Koskela, Jalko and
Honkela, AISTATS 2020). Losses are rounded to the nearest point, so the result is an estimate, not a bound.
"""

import math

import numpy as np
from scipy.special import ndtr

from include.batch.samples import Floats

STEP = 2e-4
POINTS = 1 << 19
MAX_EPSILON = 50.0


def epsilon(sigma: float, rate: float, steps: int, delta: float) -> float:
    """Return epsilon of `steps` Poisson-sampled Gaussian mechanisms.

    Args:
        sigma: noise multiplier.
        rate: sampling probability of each user.
        steps: number of steps.
        delta: delta of the release.
    """
    return max(_direction(sigma, rate, steps, delta, removed) for removed in (True, False))


def _direction(sigma: float, rate: float, steps: int, delta: float, removed: bool) -> float:
    losses: Floats = (np.arange(POINTS, dtype=np.float64) - POINTS // 2) * STEP
    step = _masses(losses, sigma, rate, removed)
    # Index 0 of the transform is a loss of 0.
    total = np.fft.irfft(np.fft.rfft(np.fft.ifftshift(step)) ** steps, POINTS)
    mass = np.maximum(np.fft.fftshift(total), 0.0)
    truncated_mass = max(0.0, 1.0 - float(step.sum())) * steps
    low, high = 0.0, MAX_EPSILON
    while high - low > STEP:
        middle = (low + high) / 2.0
        above = losses > middle
        delta_at = truncated_mass + float(np.sum(mass[above] * -np.expm1(middle - losses[above])))
        low, high = (middle, high) if delta_at > delta else (low, middle)
    return high


def _masses(losses: Floats, sigma: float, rate: float, removed: bool) -> Floats:
    """Return the probability of each privacy loss.

    The loss is the log ratio of the densities with and without the user, sampled from either of them.
    """
    edges: Floats = np.append(losses - STEP / 2.0, losses[-1] + STEP / 2.0)
    points = _outcome(edges if removed else -edges[::-1], sigma, rate)
    without_user = _normal(points / sigma)
    with_user = (1.0 - rate) * without_user + rate * _normal((points - 1.0) / sigma)
    masses: Floats = np.diff(with_user if removed else without_user)
    return masses if removed else masses[::-1]


def _outcome(loss: Floats, sigma: float, rate: float) -> Floats:
    """Return x where log(1 - q + q exp((2 x - 1) / (2 sigma^2))) equals the loss; minus infinity if none does."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        inside = np.maximum(np.exp(loss) - (1.0 - rate), 0.0) / rate
        points: Floats = sigma * sigma * np.log(inside) + 0.5
    return points


def _normal(points: Floats) -> Floats:
    probabilities: Floats = ndtr(points)
    return probabilities


def agrees(first: float, second: float) -> bool:
    """Return whether two epsilons are equal within rounding."""
    return math.isclose(first, second, rel_tol=0.01, abs_tol=0.005)
