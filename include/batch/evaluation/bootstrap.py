"""Bootstrap confidence intervals over users.

Users are resampled instead of rows, because visits of one user are not independent.
"""

from collections.abc import Iterator
from typing import Literal, cast

import numpy as np

from include.batch.evaluation.confidence import ConfidenceInterval
from include.batch.evaluation.metrics import validate_scores
from include.batch.evaluation.weighted_metrics import METRICS, WeightedMetrics
from include.batch.samples import Floats, Labels, Rows
from include.contracts.errors import TerminalError

Metric = Literal["roc_auc", "pr_auc", "brier", "log_loss", "calibration_error", "f1", "accuracy"]
MIN_USERS = 2
MAX_CELLS = 4_000_000
"""Maximum of rows x resamples in memory at a time."""


def intervals(
    y: Labels, p: Floats, group: Rows, draws: int, confidence: float, seed: int, threshold: float = 0.5
) -> dict[str, ConfidenceInterval]:
    """Return percentile intervals of all METRICS.

    Resamples with one outcome only are skipped.

    Args:
        y: outcomes (n,).
        p: probabilities (n,).
        group: user of each row (n,).
        draws: number of resamples.
        confidence: share of the resamples within an interval.
        seed: seed of the resamples.
        threshold: probability from which a row counts as positive.

    Raises:
        TerminalError: a metric is undefined, or there is a single user.
    """
    weighted = WeightedMetrics(y, p, threshold)
    samples = [weighted.compute(weights) for weights in _resampled_weights(y, p, group, draws, seed)]
    point = weighted.compute(np.ones((1, len(y))))
    return {
        name: ConfidenceInterval(
            float(point[name][0]), *_bounds(np.concatenate([part[name] for part in samples]), confidence)
        )
        for name in METRICS
    }


def paired_interval(
    y: Labels, new: Floats, old: Floats, group: Rows, metric: Metric, draws: int, confidence: float, seed: int
) -> ConfidenceInterval:
    """Return the interval of metric(new) - metric(old), both computed on the same resampled users.

    Raises:
        TerminalError: a metric is undefined, or there is a single user.
    """
    validate_scores(y, old)
    pair = WeightedMetrics(y, new), WeightedMetrics(y, old)
    differences = [
        np.subtract(*(weighted.compute(weights, (metric,))[metric] for weighted in pair))
        for weights in _resampled_weights(y, new, group, draws, seed)
    ]
    ones = np.ones((1, len(y)))
    first, second = (float(weighted.compute(ones, (metric,))[metric][0]) for weighted in pair)
    return ConfidenceInterval(first - second, *_bounds(np.concatenate(differences), confidence))


def bootstrap_std(y: Labels, p: Floats, group: Rows, metric: Metric, draws: int, seed: int) -> tuple[float, float]:
    """Return a metric and its bootstrap standard deviation over users.

    Raises:
        TerminalError: a metric is undefined, or there is a single user.
    """
    weighted = WeightedMetrics(y, p)
    differences = [
        weighted.compute(weights, (metric,))[metric] for weights in _resampled_weights(y, p, group, draws, seed)
    ]
    point = weighted.compute(np.ones((1, len(y))), (metric,))[metric]
    return float(point[0]), float(np.nanstd(np.concatenate(differences)))


def _resampled_weights(y: Labels, p: Floats, group: Rows, draws: int, seed: int) -> Iterator[Floats]:
    """Yield row weights (k, n), in chunks of resamples: how often each row's user was drawn."""
    validate_scores(y, p)
    if group.shape != y.shape:
        raise TerminalError(f"{group.shape} groups do not match {y.shape} outcomes", "pass the user of each row")
    users, member = np.unique(group, return_inverse=True)
    if len(users) < MIN_USERS:
        raise TerminalError("an interval over users needs at least two users", "choose a longer window")
    random = np.random.default_rng(seed)
    chunk = max(1, MAX_CELLS // len(y))
    for start in range(0, draws, chunk):
        counts = np.stack(
            [
                np.bincount(random.integers(0, len(users), len(users)), minlength=len(users))
                for _ in range(min(chunk, draws - start))
            ]
        )
        yield counts[:, member].astype(np.float64)


def _bounds(values: Floats, confidence: float) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        raise TerminalError("no resample of users has both outcomes", "choose a longer window")
    tail = 100.0 * (1.0 - confidence) / 2.0
    low, high = cast("Floats", np.percentile(finite, [tail, 100.0 - tail]))
    return float(low), float(high)
