"""Logistic regression on the scaled columns."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from include.batch.models.dense import DenseNetwork
from include.batch.parameters import ModelParameters
from include.batch.samples import Samples

MAX_ITERATIONS = 2000


def logistic(train: Samples, validation: Samples, parameters: ModelParameters, seed: int) -> DenseNetwork:
    """Fit an L2-penalised logistic regression by L-BFGS; `validation` is not used.

    It is stored as a network without a hidden layer.
    """
    fitted = LogisticRegression(C=parameters.logistic.C, max_iter=MAX_ITERATIONS).fit(
        train.z.astype(np.float64), train.y
    )
    return DenseNetwork(
        weights=(fitted.coef_.T.astype(np.float32),),
        biases=(fitted.intercept_.astype(np.float32),),
        name="logistic",
    )
