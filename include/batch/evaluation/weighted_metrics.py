"""Vectorized metrics of the same rows under many row weightings."""

from typing import cast

import numpy as np

from include.batch.evaluation.metrics import CLIP, bin_index, validate_scores
from include.batch.samples import Floats, Labels

METRICS: tuple[str, ...] = ("roc_auc", "pr_auc", "brier", "log_loss", "calibration_error", "f1", "accuracy")
_RANKING = frozenset({"roc_auc", "pr_auc"})


class WeightedMetrics:
    """Metrics of outcomes (n,) and probabilities (n,) for many weightings; rows are sorted once."""

    def __init__(self, y: Labels, p: Floats, threshold: float = 0.5) -> None:
        """Sort the rows and validate them.

        Raises:
            TerminalError: as include.batch.evaluation.metrics.validate_scores.
        """
        validate_scores(y, p)
        self._order = np.argsort(-p, kind="stable")
        by_falling_score = p[self._order]
        self._starts = np.flatnonzero(np.append(True, by_falling_score[1:] != by_falling_score[:-1]))
        self._y, self._p = y.astype(np.float64), p
        self._predicted_positive = (p >= threshold).astype(np.float64)
        index = bin_index(p, 10)
        self._bins = np.eye(index.max() + 1)[index]
        clipped = np.clip(p, CLIP, 1.0 - CLIP)
        self._rows = {
            "brier": (p - self._y) ** 2,
            "log_loss": -np.where(y, np.log(clipped), np.log1p(-clipped)),
            "accuracy": (self._predicted_positive == self._y).astype(np.float64),
        }

    def compute(self, weights: Floats, names: tuple[str, ...] = METRICS) -> dict[str, Floats]:
        """Return each named metric (k,) for non-negative weights (k, n); NaN if a weighting has one outcome only."""
        metrics: dict[str, Floats] = {}
        total = weights.sum(axis=1)
        if _RANKING & set(names):
            metrics |= self._ranking(weights)
        for name in names:
            if name in self._rows:
                metrics[name] = weights @ self._rows[name] / total
        if "calibration_error" in names:
            gap = (weights * (self._p - self._y)) @ self._bins
            metrics["calibration_error"] = np.abs(gap).sum(axis=1) / total
        if "f1" in names:
            true_positives = weights @ (self._predicted_positive * self._y)
            sizes = weights @ (self._predicted_positive + self._y)
            metrics["f1"] = np.divide(2.0 * true_positives, sizes, out=np.zeros_like(true_positives), where=sizes > 0)
        return {name: metrics[name] for name in names}

    def _ranking(self, weights: Floats) -> dict[str, Floats]:
        """Return ROC-AUC and PR-AUC; ties share a threshold, as in scikit-learn."""
        by_falling_score = weights[:, self._order]
        positive = np.add.reduceat(by_falling_score * self._y[self._order], self._starts, axis=1)
        totals = np.add.reduceat(by_falling_score, self._starts, axis=1)
        negative = totals - positive
        true_positives, predicted = np.cumsum(positive, axis=1), np.cumsum(totals, axis=1)
        false_positives = predicted - true_positives
        with np.errstate(invalid="ignore", divide="ignore"):
            ordered = np.sum(negative * (true_positives - 0.5 * positive), axis=1) / (
                true_positives[:, -1] * false_positives[:, -1]
            )
            precision = np.where(predicted > 0, true_positives / predicted, 0.0)
            average = np.sum(positive * precision, axis=1) / true_positives[:, -1]
        defined = (true_positives[:, -1] > 0) & (false_positives[:, -1] > 0)
        undefined = np.full(len(weights), np.nan)
        return {
            "roc_auc": cast("Floats", np.where(defined, ordered, undefined)),
            "pr_auc": cast("Floats", np.where(defined, average, undefined)),
        }
