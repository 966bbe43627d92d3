"""Fit one kind of model and evaluate it: temporal holdout, random split and shuffled-label check."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import Struct

from include.batch.evaluation.bootstrap import intervals
from include.batch.evaluation.confidence import ConfidenceInterval
from include.batch.evaluation.leakage import ShuffledLabelCheck, shuffled_label_check
from include.batch.evaluation.metrics import Scores, score, threshold_at_rate
from include.batch.models.fit import FITS
from include.batch.models.model import BASELINES, Model
from include.batch.parameters import Parameters
from include.batch.samples import Floats, Samples


@dataclass(frozen=True)
class SplitSamples:
    """The rows of a split: for training, for early stopping and selection, and for testing."""

    train: Samples
    validation: Samples
    test: Samples


class Evaluation(Struct, frozen=True):
    """Metrics of one kind of model.

    Attributes:
        scores: metrics on the temporal holdout: later visits of users never trained on.
        intervals: confidence intervals of the same metrics.
        validation: metrics on the validation rows, on which the threshold is chosen.
        random: metrics on the random split, which is optimistic because the model has seen other visits of its users.
        shuffled_label_check: None for the majority, which has no ranking.
        seconds: wall time of the fit on the temporal split.
    """

    kind: str
    private: bool
    scores: Scores
    intervals: dict[str, ConfidenceInterval]
    validation: Scores
    random: Scores
    shuffled_label_check: ShuffledLabelCheck | None
    seconds: float


@dataclass(frozen=True)
class EvaluatedModel:
    """A fitted model, its probabilities on the test and validation rows of the temporal split, and its metrics."""

    model: Model
    test: Floats
    validation: Floats
    evaluation: Evaluation


def evaluate(kind: str, temporal: SplitSamples, random_split: SplitSamples, parameters: Parameters) -> EvaluatedModel:
    """Fit a kind on both splits and on shuffled labels, and compute its metrics.

    Raises:
        TerminalError: a metric is undefined on these rows.
    """
    fit, seed, settings = FITS[kind], parameters.seed, parameters.evaluation
    began = time.perf_counter()
    model = fit(temporal.train, temporal.validation, parameters.models, seed)
    seconds = time.perf_counter() - began
    test, validation = model.probabilities(temporal.test), model.probabilities(temporal.validation)
    threshold = threshold_at_rate(validation, float(temporal.validation.y.mean()))
    y, group = temporal.test.y, temporal.test.group
    evaluation = Evaluation(
        kind=kind,
        private=model.private,
        scores=score(y, test, threshold),
        intervals=intervals(y, test, group, settings.draws, settings.confidence, seed, threshold),
        validation=score(temporal.validation.y, validation, threshold),
        random=_random(kind, random_split, parameters),
        shuffled_label_check=None if kind == "majority" else _shuffled_label_check(kind, temporal, parameters),
        seconds=round(seconds, 3),
    )
    return EvaluatedModel(model, test, validation, evaluation)


def best(evaluations: Mapping[str, Evaluation], metric: str) -> str:
    """Return the kind with the highest `metric` on the validation rows.

    A baseline is returned only if there is no other kind. Test rows are not used for the choice, because that would
    bias their metrics.
    """
    candidates = [kind for kind in evaluations if kind not in BASELINES] or list(evaluations)
    return max(candidates, key=lambda kind: float(getattr(evaluations[kind].validation, metric)))


def best_baseline(evaluations: Mapping[str, Evaluation], metric: str) -> str | None:
    """Return the baseline with the highest `metric` on the validation rows; None if none was fitted."""
    baselines = {kind: evaluation for kind, evaluation in evaluations.items() if kind in BASELINES}
    return best(baselines, metric) if baselines else None


def _random(kind: str, parts: SplitSamples, parameters: Parameters) -> Scores:
    model = FITS[kind](parts.train, parts.validation, parameters.models, parameters.seed)
    threshold = threshold_at_rate(model.probabilities(parts.validation), float(parts.validation.y.mean()))
    return score(parts.test.y, model.probabilities(parts.test), threshold)


def _shuffled_label_check(kind: str, parts: SplitSamples, parameters: Parameters) -> ShuffledLabelCheck:
    return shuffled_label_check(
        FITS[kind],
        parts.train,
        parts.validation,
        parts.test,
        parameters.models,
        parameters.evaluation.draws,
        parameters.seed,
    )
