"""Synthetic samples for tests: a signal, noise, missing values, users with several visits."""

import numpy as np

from include.batch.parameters import (
    BoostParameters,
    ForestParameters,
    LogisticParameters,
    ModelParameters,
    NetworkParameters,
)
from include.batch.samples import Samples

MODELS = ModelParameters(
    forest=ForestParameters(n_estimators=20, max_depth=6, min_samples_leaf=5),
    boost=BoostParameters(
        n_estimators=40, max_depth=3, learning_rate=0.2, subsample=0.8, colsample_bytree=0.8, min_child_weight=1.0
    ),
    network=NetworkParameters(
        hidden_layer_sizes=(8, 4), dropout=0.1, learning_rate=0.01, epochs=8, batch_size=64, patience=3
    ),
    logistic=LogisticParameters(C=1.0),
)
"""Small enough for tests."""


def samples(rows: int, seed: int, columns: int = 6) -> Samples:
    """Return samples with an informative column `c0`, a weaker one `c1` and noise columns.

    A tenth of `c1` is missing.
    """
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, columns)).astype(np.float32)
    y = random.random(rows) < 1.0 / (1.0 + np.exp(1.0 - 2.0 * x[:, 0] - 0.7 * x[:, 1]))
    x[random.random(rows) < 0.1, 1] = np.nan
    group = 10_000 * seed + random.integers(0, max(2, rows // 3), rows)
    return Samples(x, np.nan_to_num(x), y, group, tuple(f"c{at}" for at in range(columns)))
