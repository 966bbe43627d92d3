"""Choose rows and explainer for each kind of model; rank the columns by importance."""

from collections.abc import Iterator, Sequence

import numpy as np

from include.batch.explain.attribution import (
    Attribution,
    explain_boosting,
    explain_forest,
    explain_linear,
    explain_permutation,
    log_odds,
    verify_additivity,
)
from include.batch.features import columns
from include.batch.models.boost import BoostModel
from include.batch.models.dense import DenseNetwork
from include.batch.models.forest import ForestModel
from include.batch.models.model import Model
from include.batch.parameters import ExplainParameters
from include.batch.samples import Floats, Matrix, Rows, Samples

EXPLAINED_KINDS: tuple[str, ...] = ("boost", "forest", "network", "private_network", "logistic")
"""Kinds in the order of explanation. The baselines majority and one_rule need no explanation."""
MAX_SUMMARY_COLUMNS = 15


def explain(model: Model, test: Samples, parameters: ExplainParameters, seed: int) -> Attribution:
    """Explain a seeded sample of held-out visits and verify that the attributions add up.

    Raises:
        TerminalError: the attributions do not add up to the predictions.
    """
    rows, background = sample_rows(len(test), parameters, model.kind, seed)
    sample = test.take(rows)
    if isinstance(model, BoostModel):
        attribution = explain_boosting(model.booster, sample.x, test.columns, model.probabilities(sample))
    elif isinstance(model, ForestModel):
        attribution = explain_forest(model.forest, sample.x, test.columns, model.probabilities(sample))
    elif isinstance(model, DenseNetwork) and len(model.weights) == 1:
        attribution = _linear(model, sample, test.z[background])
    else:
        attribution = explain_permutation(
            model.kind,
            lambda x: _probabilities(model, x, test.columns),
            sample.x,
            test.x[background],
            test.columns,
            seed,
        )
    return verify_additivity(attribution)


def sample_rows(test_rows: int, parameters: ExplainParameters, kind: str, seed: int) -> tuple[Rows, Rows]:
    """Return the rows to explain and the background rows, both ascending, held out and disjoint."""
    limit = {"boost": parameters.rows, "forest": parameters.forest_rows}.get(kind, parameters.private_rows)
    shuffled = np.random.default_rng([seed, len(kind), *kind.encode()]).permutation(test_rows)
    background_rows = min(parameters.background, test_rows // 2)
    background, rest = shuffled[:background_rows], shuffled[background_rows:]
    return np.sort(rest[:limit]), np.sort(background)


def importance_table(attributions: Sequence[Attribution]) -> Iterator[tuple[str, ...]]:
    """Yield the rows of importance.csv: column, meaning, and share of the importance in each model."""
    descriptions = {column.name: column.description for column in columns.COLUMNS}
    shares = {attribution.kind: _shares(attribution) for attribution in attributions}
    yield ("column", "meaning", *shares)
    mean = np.mean(list(shares.values()), axis=0)
    for index in np.argsort(-mean, kind="stable"):
        name = attributions[0].columns[index]
        yield (name, descriptions.get(name, ""), *(f"{share[index]:.4f}" for share in shares.values()))


def _linear(model: DenseNetwork, sample: Samples, background: Matrix) -> Attribution:
    """Explain a linear model; the contributions of a column's parts of z are summed."""
    weights = model.weights[0][:, 0].astype(np.float64)
    base, terms = explain_linear(weights, float(model.biases[0][0]), sample.z, background)
    starts = np.cumsum([0, *(len(column.scaled) for column in columns.COLUMNS)])[:-1]
    values = np.add.reduceat(terms, starts, axis=1)
    probabilities = log_odds(model.probabilities(sample))
    return Attribution(model.kind, "log-odds", sample.x, sample.columns, base, values, probabilities)


def _probabilities(model: Model, x: Matrix, names: tuple[str, ...]) -> Floats:
    rows = np.arange(len(x))
    return model.probabilities(Samples(x, columns.scale(x), np.zeros(len(x), dtype=np.bool_), rows, names))


def summarize(attribution: Attribution) -> dict[str, object]:
    """Summarize an attribution: its unit, its base value and the most important columns."""
    shares = _shares(attribution)
    return {
        "unit": attribution.unit,
        "rows": len(attribution.x),
        "base": float(attribution.base.mean()),
        "adds_up_to": attribution.gap,
        "importance": [
            {
                "column": attribution.columns[index],
                "mean": float(attribution.importance[index]),
                "share": float(shares[index]),
            }
            for index in attribution.order()[:MAX_SUMMARY_COLUMNS]
        ],
    }


def _shares(attribution: Attribution) -> Floats:
    total = float(attribution.importance.sum())
    return attribution.importance / total if total > 0 else np.zeros_like(attribution.importance)
