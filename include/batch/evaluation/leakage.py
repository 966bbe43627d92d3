"""Leakage checks: single-column ROC-AUC, and training on shuffled labels."""

from collections.abc import Callable
from statistics import NormalDist
from typing import cast

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.stats import rankdata

from include.batch.evaluation.bootstrap import bootstrap_std
from include.batch.evaluation.confidence import ConfidenceInterval
from include.batch.models.model import Model
from include.batch.parameters import ModelParameters
from include.batch.samples import Floats, Labels, Rows, Samples
from include.contracts.errors import TerminalError

MAX_BINS = 32
MAX_ROWS = 100_000
"""Rows that are checked for leaks, evenly spaced."""
SHUFFLED_LABEL_CONFIDENCE = 0.999
"""High, because a false alarm would block a promotion; a real leak ranks far above chance."""


Column = NDArray[np.floating]


class Leak(Struct, frozen=True):
    """A column that alone predicts the outcome with `roc_auc`: by ascending order, descending order or target rate."""

    column: str
    roc_auc: float


class ShuffledLabelCheck(Struct, frozen=True):
    """ROC-AUC of a model trained and tested on shuffled labels; `ok`: the interval contains 0.5."""

    roc_auc: ConfidenceInterval
    ok: bool


def find_leaks(samples: Samples, limit: float) -> tuple[Leak, ...]:
    """Return the columns of x whose `univariate_auc` is at least `limit`, highest first."""
    sample = samples.take(np.arange(0, len(samples), 1 + len(samples) // MAX_ROWS))
    measured = [Leak(name, univariate_auc(sample.x[:, at], sample)) for at, name in enumerate(sample.columns)]
    return tuple(sorted((leak for leak in measured if leak.roc_auc >= limit), key=lambda leak: -leak.roc_auc))


def assert_no_leaks(samples: Samples, limit: float) -> None:
    """Assert that no column of x leaks the outcome.

    Raises:
        TerminalError: a column has a single-column ROC-AUC of at least `limit`; the message names all such columns.
    """
    columns = find_leaks(samples, limit)
    if columns:
        names = ", ".join(f"{leak.column} ({leak.roc_auc:.3f})" for leak in columns)
        raise TerminalError(
            f"columns leak the outcome, by ROC-AUC: {names}",
            "deny the field they are derived from, or raise evaluation.leak_auc if the field precedes the outcome",
        )


def univariate_auc(column: Column, samples: Samples) -> float:
    """Return the ROC-AUC in [0.5, 1] of one column (n,).

    It is the maximum over ascending order, descending order and target rate per bin. NaN ranks lowest and has a
    separate bin. The rates of the bins are estimated on half of the users and scored on the other half, so that noise
    stays at 0.5. A constant column, or labels of one class, give 0.5.
    """
    filled = np.nan_to_num(column.astype(np.float64), nan=-np.inf, posinf=np.finfo(np.float64).max)
    ascending = _auc(samples.y, filled)
    fitted = _half(samples.group)
    bin_of_row = _assign_bins(filled)
    rates = _rates(bin_of_row[fitted], samples.y[fitted], int(bin_of_row.max(initial=0)) + 1)
    return max(ascending, 1.0 - ascending, _auc(samples.y[~fitted], rates[bin_of_row[~fitted]]))


def shuffled_label_check(
    fit: Callable[[Samples, Samples, ModelParameters, int], Model],
    train: Samples,
    validation: Samples,
    test: Samples,
    models: ModelParameters,
    draws: int,
    seed: int,
) -> ShuffledLabelCheck:
    """Shuffle the labels among users, fit, and rank the test rows: only a leak gives a ROC-AUC above chance.

    All rows of a user get the same label on both sides of the split. A user or a copied visit on both sides is
    therefore detected. The interval is the normal interval with the bootstrap's standard deviation.
    """
    labels = _permute_labels(train, validation, test, seed)
    model = fit(train.with_labels(labels[0]), validation.with_labels(labels[1]), models, seed)
    p = model.probabilities(test)
    value, std = bootstrap_std(labels[2], p, test.group, "roc_auc", draws, seed)
    half_width = NormalDist().inv_cdf(0.5 + SHUFFLED_LABEL_CONFIDENCE / 2.0) * std
    interval = ConfidenceInterval(value, max(0.0, value - half_width), min(1.0, value + half_width))
    return ShuffledLabelCheck(interval, interval.contains(0.5))


def _permute_labels(train: Samples, validation: Samples, test: Samples, seed: int) -> list[Labels]:
    """Return shuffled labels of each part: one per user, at the base rate of the rows, both classes in each part."""
    parts = (train, validation, test)
    users, member = np.unique(np.concatenate([part.group for part in parts]), return_inverse=True)
    rate = float(np.concatenate([part.y for part in parts]).mean())
    ends = np.cumsum([len(part) for part in parts])[:-1]
    random = np.random.default_rng(seed)
    for _ in range(100):
        chosen = random.permutation(len(users)) < max(1, round(rate * len(users)))
        labels = np.split(chosen[member], ends)
        if all(part.any() and not part.all() for part in labels):
            return labels
    raise TerminalError("too few users to shuffle labels", "choose a longer window")


def _half(group: Rows) -> Labels:
    """Return a mask of the rows of every second user."""
    _, member = np.unique(group, return_inverse=True)
    return cast("Labels", member % 2 == 0)


def _assign_bins(column: Floats) -> Rows:
    edges = np.unique(np.quantile(column, np.linspace(0.0, 1.0, MAX_BINS + 1)[1:-1], method="lower"))
    return np.searchsorted(edges, column, side="left") * 2 + np.isin(column, edges)


def _rates(bin_of_row: Rows, y: Labels, bins: int) -> Floats:
    """Return the share of purchases of each bin, smoothed towards the overall share."""
    counts = np.bincount(bin_of_row, minlength=bins)
    bought = np.bincount(bin_of_row, weights=y, minlength=bins)
    base_rate = float(y.mean()) if len(y) else 0.5
    return cast("Floats", (bought + base_rate) / (counts + 1.0))


def _auc(y: Labels, score: Floats) -> float:
    """Return the ROC-AUC by mid-ranks (Mann and Whitney) of finite or infinite scores; 0.5 for a single class."""
    positives = int(y.sum())
    negatives = len(y) - positives
    if not positives or not negatives:
        return 0.5
    above = float(rankdata(score)[y].sum()) - positives * (positives + 1) / 2.0
    return above / (positives * negatives)
