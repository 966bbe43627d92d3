"""Gradient boosting by XGBoost."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import xgboost as xgb

from include.batch.parameters import Models
from include.batch.samples import Floats, Samples

FILE = "boost.ubj"
MANY_ROWS = 200_000
"""From here on two threads are worth it; below, they spend more time waiting for each other than growing trees."""
PATIENCE = 40
"""Trees without a better log loss on the inner part, after which no more are grown."""


@dataclass(frozen=True)
class BoostModel:
    """A booster on the columns as they are; NaN takes the branch that was learnt for it."""

    booster: xgb.Booster
    kind: ClassVar[str] = "boost"
    private: ClassVar[bool] = False

    def probabilities(self, samples: Samples) -> Floats:
        """(n,) probability of a purchase."""
        return self.booster.inplace_predict(samples.x, missing=np.nan).astype(np.float64)

    def write(self, folder: Path) -> None:
        """Write boost.ubj, XGBoost's own portable format."""
        self.booster.save_model(folder / FILE)

    @classmethod
    def read(cls, folder: Path) -> "BoostModel":
        """What `write` wrote. Raises xgboost.core.XGBoostError where it is not that."""
        booster = xgb.Booster({"nthread": 1})
        booster.load_model(folder / FILE)
        return cls(booster)


def boost(train: Samples, inner: Samples, parameters: Models, seed: int) -> BoostModel:
    """Trees until the log loss on `inner` gets no better, cut back to the best; Chen and Guestrin, KDD 2016."""
    wanted = parameters.boost
    threads = 2 if len(train) >= MANY_ROWS else 1
    data = xgb.QuantileDMatrix(train.x, train.y, nthread=threads)
    booster = xgb.train(
        {
            "objective": "binary:logistic",
            "eval_metric": "logloss",
            "tree_method": "hist",
            "max_depth": wanted.depth,
            "eta": wanted.rate,
            "subsample": wanted.subsample,
            "colsample_bytree": wanted.columns,
            "min_child_weight": wanted.child_weight,
            "seed": seed % 2**31,
            "nthread": threads,
        },
        data,
        num_boost_round=wanted.trees,
        evals=[(xgb.QuantileDMatrix(inner.x, inner.y, nthread=threads, ref=data), "inner")],
        early_stopping_rounds=PATIENCE,
        verbose_eval=False,
    )
    return BoostModel(booster[: booster.best_iteration + 1])
