"""Fit a kind of model on folds, and compute its cross-validated scores."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from msgspec.structs import replace

from benchmarks.batch.tasks import Fold, Ranking, Task, assign_parts
from include.batch.evaluation.bootstrap import bootstrap_std
from include.batch.evaluation.confidence import ConfidenceInterval
from include.batch.evaluation.metrics import score, threshold_at_rate
from include.batch.models.boost import BoostModel
from include.batch.models.fit import FITS
from include.batch.models.model import Model
from include.batch.parameters import ModelParameters
from include.batch.samples import Floats, Samples

PARTS = 7
"""Number of parts of the training groups; one of them is the validation part for early stopping."""
WITHOUT_VALIDATION = ("majority", "logistic", "forest")
"""Kinds without early stopping; they are fitted on the whole training part."""
DRAWS, CONFIDENCE = 200, 0.95
Z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
"""Half-width of an interval, in standard errors."""


@dataclass(frozen=True)
class CVScore:
    """Means over the folds; the intervals are by a bootstrap over groups within each fold.

    `f1` and `accuracy` predict as many purchases as the training part has, by rank.
    """

    kind: str
    roc_auc: ConfidenceInterval
    pr_auc: ConfidenceInterval
    brier: float
    calibration_error: float
    f1: float
    accuracy: float
    seconds: float


def fit(kind: str, train: Samples, models: ModelParameters, seed: int) -> Model:
    """Fit a model on all of `train`; early stopping uses groups of `train` as validation part.

    Boosting is fitted again on all rows, with the best number of trees on the validation part.
    """
    if kind in WITHOUT_VALIDATION:
        return FITS[kind](train, train, models, seed)
    first = FITS[kind](*split_validation(train, seed), models, seed)
    if not isinstance(first, BoostModel):
        return first
    n_estimators = first.booster.num_boosted_rounds()
    return FITS[kind](train, train, replace(models, boost=replace(models.boost, n_estimators=n_estimators)), seed)


def split_validation(train: Samples, seed: int) -> tuple[Samples, Samples]:
    """Split the groups into the larger part and the validation part."""
    part = assign_parts(train.group, PARTS, seed)
    return train.take(np.flatnonzero(part > 0)), train.take(np.flatnonzero(part == 0))


def cross_validate(kind: str, folds: Sequence[Fold], models: ModelParameters, seed: int) -> CVScore:
    """Fit on each fold's training part and score on its test part."""
    began = time.monotonic()
    predictions = [fit(kind, fold.train, models, seed).probabilities(fold.test) for fold in folds]
    seconds = (time.monotonic() - began) / len(folds)
    scores = [
        score(fold.test.y, p, threshold_at_rate(p, float(fold.train.y.mean())))
        for fold, p in zip(folds, predictions, strict=True)
    ]
    return CVScore(
        kind=kind,
        roc_auc=_mean(folds, predictions, "roc_auc", seed),
        pr_auc=_mean(folds, predictions, "pr_auc", seed),
        brier=float(np.mean([score_of_fold.brier for score_of_fold in scores])),
        calibration_error=float(np.mean([score_of_fold.calibration_error for score_of_fold in scores])),
        f1=float(np.mean([score_of_fold.f1 for score_of_fold in scores])),
        accuracy=float(np.mean([score_of_fold.accuracy for score_of_fold in scores])),
        seconds=seconds,
    )


def choose_kind(
    task: Task, kinds: Sequence[str], models: ModelParameters, seed: int
) -> tuple[str, dict[str, ConfidenceInterval]]:
    """Choose the kind that must reach the target; return it with the ROC-AUC of each kind on the folds before the test.

    It is the simplest, in the order of `kinds`, within one standard error of the best (Breiman et al., "Classification
    and Regression Trees", 1984, section 3.4.3). PR-AUC is not used, because it depends on the base rate, which differs
    between periods.
    """
    if task.target_kind is not None:
        return task.target_kind, {}
    earlier = {kind: cross_validate(kind, task.origins, models, seed).roc_auc for kind in kinds}
    best = max(earlier.values(), key=lambda interval: interval.value)
    error = (best.high - best.low) / (2 * Z)
    return next(kind for kind in kinds if earlier[kind].value >= best.value - error), earlier


def _mean(folds: Sequence[Fold], predictions: Sequence[Floats], metric: Ranking, seed: int) -> ConfidenceInterval:
    """Return the mean over the folds; their standard errors are treated as independent."""
    parts = [
        bootstrap_std(fold.test.y, p, fold.test.group, metric, DRAWS, seed)
        for fold, p in zip(folds, predictions, strict=True)
    ]
    value = float(np.mean([part[0] for part in parts]))
    std = float(np.sqrt(np.sum([part[1] ** 2 for part in parts]))) / len(parts)
    return ConfidenceInterval(value, value - Z * std, value + Z * std)
