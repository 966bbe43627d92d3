"""Gradient boosting by XGBoost."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import xgboost as xgb

from include.batch.parameters import ModelParameters
from include.batch.samples import Floats, Samples

FILE = "boost.ubj"
MIN_ROWS_FOR_TWO_THREADS = 200_000
"""From this size two threads are faster; below, synchronization costs more than it gains."""
EARLY_STOPPING_ROUNDS = 40
"""Stop after this many trees without a lower log loss on the validation part."""


@dataclass(frozen=True)
class BoostModel:
    """A booster on the unscaled columns; NaN takes the learnt default branch."""

    booster: xgb.Booster
    kind: ClassVar[str] = "boost"
    private: ClassVar[bool] = False

    def probabilities(self, samples: Samples) -> Floats:
        """Return the (n,) probability of a purchase."""
        return self.booster.inplace_predict(samples.x, missing=np.nan).astype(np.float64)

    def write(self, folder: Path) -> None:
        """Write boost.ubj, XGBoost's own portable format."""
        self.booster.save_model(folder / FILE)

    @classmethod
    def read(cls, folder: Path) -> "BoostModel":
        """Read what `write` wrote.

        Raises:
            xgboost.core.XGBoostError: the file is invalid.
        """
        booster = xgb.Booster({"nthread": 1})
        booster.load_model(folder / FILE)
        return cls(booster)


def boost(train: Samples, validation: Samples, parameters: ModelParameters, seed: int) -> BoostModel:
    """Grow trees with early stopping on `validation`, cut back to the best; Chen and Guestrin, KDD 2016."""
    settings = parameters.boost
    threads = 2 if len(train) >= MIN_ROWS_FOR_TWO_THREADS else 1
    data = xgb.QuantileDMatrix(train.x, train.y, nthread=threads)
    booster = xgb.train(
        {
            "objective": "binary:logistic",
            "eval_metric": "logloss",
            "tree_method": "hist",
            "max_depth": settings.max_depth,
            "learning_rate": settings.learning_rate,
            "subsample": settings.subsample,
            "colsample_bytree": settings.colsample_bytree,
            "min_child_weight": settings.min_child_weight,
            "seed": seed % 2**31,
            "nthread": threads,
        },
        data,
        num_boost_round=settings.n_estimators,
        evals=[(xgb.QuantileDMatrix(validation.x, validation.y, nthread=threads, ref=data), "validation")],
        early_stopping_rounds=EARLY_STOPPING_ROUNDS,
        verbose_eval=False,
    )
    return BoostModel(booster[: booster.best_iteration + 1])
