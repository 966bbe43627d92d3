"""The tasks on which the models are measured: training data, test data and bars."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from benchmarks.batch import repurchase, shoppers
from benchmarks.batch.repurchase import Purchases
from benchmarks.batch.shoppers import ShopperData
from include.batch.samples import Rows, Samples

FOLDS = 5
ORIGINS = ((6, 8), (7, 9), (8, 10))
"""Last month of the training part and of the test part of the folds for model selection; all before the test."""
STEP_DAYS, CUTOFFS = 15, 9
"""Repurchase is trained on this many cut-offs, this far apart, whose outcomes end before the test's cut-off."""

Ranking = Literal["roc_auc", "pr_auc"]
Bar = tuple[float, float]
"""ROC-AUC and PR-AUC."""


@dataclass(frozen=True)
class Fold:
    """Training and test part; no group is in both."""

    train: Samples
    test: Samples


@dataclass(frozen=True)
class Task:
    """One task. `bar` is the best published result under the same protocol, `bars` that of a kind of model.

    `target` must be reached by the kind `target_kind`, or, if that is None, by the kind that is chosen on the
    `origins`: folds before the test folds.
    """

    name: str
    about: str
    folds: tuple[Fold, ...]
    bar: Bar
    bars: Mapping[str, Bar]
    target: Bar
    target_kind: str | None = None
    origins: tuple[Fold, ...] = ()

    @property
    def base_rate(self) -> float:
        """Share of purchases among all test rows."""
        return float(np.concatenate([fold.test.y for fold in self.folds]).mean())


def uci(data: ShopperData, seed: int) -> tuple[Task, Task, Task]:
    """Return three tasks: all fields, without PageValues, and later months without the month."""
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    rows = list(splitter.split(data.group, data.y, data.group))
    everything, honest = data.samples(), data.samples(shoppers.WITHOUT_PAGE_VALUES)
    return (
        Task(
            "uci-all",
            "UCI shoppers, 5 folds, all fields: PageValues knows the outcome, whole visits are over",
            tuple(Fold(everything.take(train), everything.take(test)) for train, test in rows),
            bar=(0.934, 0.753),
            bars={
                "majority": (0.5, 0.155),
                "logistic": (0.917, 0.698),
                "forest": (0.929, 0.747),
                "boost": (0.933, 0.752),
                "network": (0.928, 0.727),
            },
            target=(0.931, 0.745),
            target_kind="boost",
        ),
        Task(
            "uci-honest",
            "UCI shoppers, 5 folds, without PageValues",
            tuple(Fold(honest.take(train), honest.take(test)) for train, test in rows),
            bar=(0.787, 0.381),
            bars={
                "logistic": (0.757, 0.340),
                "forest": (0.777, 0.368),
                "boost": (0.787, 0.377),
                "network": (0.755, 0.340),
            },
            target=(0.780, 0.370),
            target_kind="boost",
        ),
        _later(data),
    )


def _later(data: ShopperData) -> Task:
    samples = data.samples(shoppers.WITHOUT_PERIOD)

    def fold(last: int, tested: int) -> Fold:
        train, test = data.months(1, last), data.months(last + 1, tested)
        return Fold(samples.take(exclude_groups(samples.group, train, test)), samples.take(test))

    return Task(
        "uci-later",
        "UCI shoppers, trained on February to October, tested on November and December, without PageValues and Month",
        (fold(shoppers.TEST_FROM - 1, 12),),
        bar=(0.714, 0.357),
        bars={"logistic": (0.714, 0.354), "forest": (0.698, 0.334), "boost": (0.692, 0.335)},
        target=(0.714, 0.357),
        origins=tuple(fold(*origin) for origin in ORIGINS),
    )


def exclude_groups(group: Rows, train: Rows, test: Rows) -> Rows:
    """Return the rows of `train` whose groups are not in `test`."""
    return train[~np.isin(group[train], group[test])]


def repurchase_task(purchases: Purchases, seed: int) -> Task:
    """Return the repurchase task: other customers than those trained on, at a later cut-off."""
    test = repurchase.day(repurchase.TEST)
    return Task(
        "repurchase",
        "Online Retail, purchase within 30 days, tested on other customers at a later cut-off",
        _customers(purchases, test, FOLDS, seed),
        bar=(0.746, 0.647),
        bars={"logistic": (0.746, 0.647), "forest": (0.733, 0.638), "boost": (0.742, 0.644)},
        target=(0.746, 0.647),
        origins=_customers(purchases, test - repurchase.DAYS, 2, seed),
    )


def _customers(purchases: Purchases, cutoff: float, parts: int, seed: int) -> tuple[Fold, ...]:
    """Assign customers to parts; each is tested at the cut-off with a model trained on the others before it."""
    train = repurchase.samples(purchases, cutoffs(cutoff))
    test = repurchase.samples(purchases, [cutoff])
    train_part, test_part = assign_parts(train.group, parts, seed), assign_parts(test.group, parts, seed)
    return tuple(
        Fold(train.take(np.flatnonzero(train_part != part)), test.take(np.flatnonzero(test_part == part)))
        for part in range(parts)
    )


def cutoffs(test: float) -> tuple[float, ...]:
    """Return the training cut-offs whose outcomes end before the test's cut-off."""
    return tuple(test - repurchase.DAYS - STEP_DAYS * back for back in range(CUTOFFS))


def assign_parts(group: Rows, parts: int, seed: int) -> Rows:
    """Return the (n,) part of each row's group by hash; a group is always in the same part.

    Another number of parts gives an independent assignment, so that parts of a part are not empty.
    """
    users, member = np.unique(group, return_inverse=True)
    digests = (hashlib.blake2b(f"{seed}/{parts}/{user}".encode(), digest_size=8).digest() for user in users.tolist())
    part = np.array([int.from_bytes(digest) % parts for digest in digests], dtype=np.int64)
    return np.asarray(part[member], dtype=np.int64)
