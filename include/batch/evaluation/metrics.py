"""Metrics of a ranking and of its probabilities."""

import numpy as np
from msgspec import Struct
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from include.batch.samples import Floats, Labels, Rows
from include.contracts.errors import TerminalError

CLIP = 1e-7
"""Probabilities are clipped to [CLIP, 1 - CLIP] in the log loss."""


class Scores(Struct, frozen=True):
    """Metrics of n rows. `f1` and `accuracy` are of `p >= threshold`; `pr_auc` is average precision."""

    rows: int
    positives: int
    base_rate: float
    roc_auc: float
    pr_auc: float
    brier: float
    log_loss: float
    calibration_error: float
    threshold: float
    f1: float
    accuracy: float


class Bin(Struct, frozen=True):
    """Rows of similar probability: their number, mean prediction and observed rate."""

    rows: int
    predicted: float
    observed: float


def score(y: Labels, p: Floats, threshold: float) -> Scores:
    """Compute all metrics of outcomes (n,) and probabilities (n,).

    Raises:
        TerminalError: as `validate_scores`.
    """
    validate_scores(y, p)
    positive = p >= threshold
    true_positives, false_negatives, false_positives = (
        float(np.sum(part)) for part in (positive & y, ~positive & y, positive & ~y)
    )
    clipped = np.clip(p, CLIP, 1.0 - CLIP)
    return Scores(
        rows=len(y),
        positives=int(y.sum()),
        base_rate=float(y.mean()),
        roc_auc=float(roc_auc_score(y, p)),
        pr_auc=float(average_precision_score(y, p)),
        brier=float(brier_score_loss(y, p)),
        log_loss=float(log_loss(y, clipped)),
        calibration_error=calibration_error(calibration(y, p)),
        threshold=threshold,
        f1=2.0 * true_positives / (2.0 * true_positives + false_negatives + false_positives) if true_positives else 0.0,
        accuracy=1.0 - (false_negatives + false_positives) / len(y),
    )


def validate_scores(y: Labels, p: Floats) -> None:
    """Assert that metrics are defined.

    Raises:
        TerminalError: there are no rows or one class only, lengths differ, or values are not probabilities.
    """
    if y.shape != p.shape or y.ndim != 1 or not len(y):
        raise TerminalError(f"{y.shape} outcomes and {p.shape} scores", "pass one score per outcome, at least one")
    if not np.isfinite(p).all() or p.min() < 0.0 or p.max() > 1.0:
        invalid = int(np.sum(~(np.isfinite(p) & (p >= 0.0) & (p <= 1.0))))
        raise TerminalError(
            f"{invalid} of {len(p)} scores are not probabilities", "check the model that predicted them"
        )
    if y.all() or not y.any():
        raise TerminalError(
            f"all {len(y)} visits have the same outcome, ranking metrics are undefined", "choose a longer window"
        )


def threshold_at_rate(p: Floats, rate: float) -> float:
    """Return the threshold at which the share of `p >= threshold` is closest to `rate`.

    Ties choose the smaller share. Choose the threshold on the validation part only. Where all scores are equal, the
    threshold is above them (or at them, for a rate above 0.5).

    Raises:
        TerminalError: there are no scores, or a score is not finite.
    """
    if not len(p) or not np.isfinite(p).all():
        raise TerminalError(
            "choosing a threshold failed: there are no finite scores", "check that the validation part is not empty"
        )
    values, counts = np.unique(p, return_counts=True)
    above = np.append(np.cumsum(counts[::-1])[::-1], 0) / len(p)
    candidates = np.append(values, np.nextafter(values[-1], np.inf))
    distance = np.abs(above - rate)
    return float(candidates[np.flatnonzero(distance == distance.min())[-1]])


def calibration(y: Labels, p: Floats, bins: int = 10) -> tuple[Bin, ...]:
    """Return the reliability table: rows by rising probability in at most `bins` bins of about equal size.

    Rows of equal probability are in the same bin.
    """
    index = bin_index(p, bins)
    counts = np.bincount(index)
    predicted = np.bincount(index, weights=p) / counts
    observed = np.bincount(index, weights=y) / counts
    return tuple(
        Bin(int(n), float(mean_predicted), float(mean_observed))
        for n, mean_predicted, mean_observed in zip(counts, predicted, observed, strict=True)
    )


def calibration_error(table: tuple[Bin, ...]) -> float:
    """Return the expected calibration error: mean |predicted - observed|, weighted by rows.

    With bins of equal size, as in Nguyen and O'Connor, "Posterior calibration and exploratory analysis for natural
    language processing models", EMNLP 2015.
    """
    rows = sum(part.rows for part in table)
    return sum(part.rows * abs(part.predicted - part.observed) for part in table) / rows


def bin_index(p: Floats, bins: int) -> Rows:
    """Return the (n,) bin number of each row, from 0, without empty bins."""
    edges = np.unique(np.quantile(p, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    index = np.searchsorted(edges, p, side="left")
    _, dense = np.unique(index, return_inverse=True)
    return dense
