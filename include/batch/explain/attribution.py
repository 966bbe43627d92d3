"""Shapley values of one model's predictions: TreeSHAP for trees, permutations for other models.

Lundberg et al., "From local explanations to global understanding with explainable AI for trees", Nature Machine
Intelligence 2 (2020); Strumbelj and Kononenko, "Explaining prediction models and individual predictions with
feature contributions", Knowledge and Information Systems 41 (2014).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from include.batch.samples import Floats, Matrix
from include.contracts.errors import TerminalError

Unit = Literal["log-odds", "probability"]
Predict = Callable[[Matrix], Floats]
"""Map unscaled columns (n, d) to probabilities (n,)."""

MIN_PROBABILITY = 1e-7
"""Probabilities are clipped to this distance from 0 and 1, because log-odds are unbounded there."""

MAX_GAP = {"log-odds": 2e-3, "probability": 1e-5}
"""Maximum gap between base + values and the prediction, because single-precision sums round."""


@dataclass(frozen=True)
class Attribution:
    """Attributions of n predictions, in `unit`: `values` (n, d) with base + sum of a row = `output`.

    `x` (n, d) are the explained rows, `columns` the names of its d columns.
    """

    kind: str
    unit: Unit
    x: Matrix
    columns: tuple[str, ...]
    base: Floats
    values: Floats
    output: Floats

    @property
    def gap(self) -> float:
        """The maximum difference between a prediction and the sum of its attributions; 0 without rows."""
        differences = np.abs(self.base + self.values.sum(axis=1) - self.output)
        return float(differences.max(initial=0.0))

    @property
    def importance(self) -> Floats:
        """(d,) mean absolute value of each column."""
        means: Floats = np.abs(self.values).mean(axis=0)
        return means

    def order(self) -> list[int]:
        """Return column indices by falling importance; ties keep their order."""
        return [int(index) for index in np.argsort(-self.importance, kind="stable")]


def verify_additivity(attribution: Attribution) -> Attribution:
    """Return the attribution if it adds up to the predictions.

    Raises:
        TerminalError: it does not add up, so the explained model is not the model that predicts.
    """
    limit = MAX_GAP[attribution.unit]
    if not attribution.gap <= limit:
        raise TerminalError(
            f"the explanation of {attribution.kind} is {attribution.gap:.2g} {attribution.unit} off its predictions, "
            f"more than {limit:g}",
            "train again; if the error persists, the explainer does not support this version of the model's library",
        )
    return attribution


def log_odds(probabilities: Floats) -> Floats:
    """Log of p / (1 - p), clipped to finite values."""
    p = np.clip(np.asarray(probabilities, dtype=np.float64), MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    logits: Floats = np.log(p) - np.log1p(-p)
    return logits


def explain_boosting(booster: Any, x: Matrix, columns: tuple[str, ...], probabilities: Floats) -> Attribution:
    """Explain an XGBoost booster by its path-dependent TreeSHAP.

    `probabilities` (n,) are the model's predictions for x, to verify the additivity.
    """
    import xgboost  # noqa: PLC0415 - heavy, and not every explanation needs it

    contributions = booster.predict(xgboost.DMatrix(x), pred_contribs=True).astype(np.float64)
    return Attribution(
        "boost", "log-odds", x, columns, contributions[:, -1], contributions[:, :-1], log_odds(probabilities)
    )


def explain_forest(forest: Any, x: Matrix, columns: tuple[str, ...], probabilities: Floats) -> Attribution:
    """Explain a scikit-learn forest of two classes by path-dependent TreeSHAP; arguments as of `explain_boosting`."""
    import shap  # noqa: PLC0415 - heavy, and not every explanation needs it

    explainer = shap.TreeExplainer(forest, feature_perturbation="tree_path_dependent")
    values = np.asarray(explainer.shap_values(x, check_additivity=False), dtype=np.float64)[:, :, 1]
    base = np.full(len(x), float(np.asarray(explainer.expected_value)[1]))
    return Attribution("forest", "probability", x, columns, base, values, np.asarray(probabilities, dtype=np.float64))


def explain_permutation(
    kind: str, predict: Predict, x: Matrix, background: Matrix, columns: tuple[str, ...], seed: int
) -> Attribution:
    """Explain any model by one permutation of the columns per row, forward and backward.

    Columns that are not yet set take the values of `background` (m, d), averaged over its rows. The values are exact
    up to interactions of two columns, and additive for every model.
    """
    import shap  # noqa: PLC0415 - heavy, and not every explanation needs it

    def predict_log_odds(rows: Matrix) -> Floats:
        return log_odds(predict(np.asarray(rows, dtype=np.float32)))

    # Otherwise the masker subsamples the background again.
    masker = shap.maskers.Independent(background, max_samples=len(background))
    explainer = shap.explainers.Permutation(predict_log_odds, masker, feature_names=list(columns), seed=seed)
    explanation = explainer(x, max_evals=2 * x.shape[1] + 1, silent=True)
    values = np.asarray(explanation.values, dtype=np.float64)
    base = np.broadcast_to(np.asarray(explanation.base_values, dtype=np.float64), (len(x),))
    return Attribution(kind, "log-odds", x, columns, base, values, predict_log_odds(x))


def explain_linear(weights: Floats, bias: float, rows: Matrix, background: Matrix) -> tuple[Floats, Floats]:
    """Return the exact attributions of a linear model of scaled columns.

    Each value is the weight times the distance of the column from the background mean.

    Args:
        weights: coefficients (e,).
        bias: intercept.
        rows: explained rows (n, e).
        background: background rows (m, e).

    Returns:
        Base (n,) and values (n, e), in log-odds.
    """
    mean = background.astype(np.float64).mean(axis=0)
    base = np.full(len(rows), float(mean @ weights + bias))
    return base, (rows.astype(np.float64) - mean) * weights
