"""One kind of model, fitted and judged: headline figures, flattering ones, and the canary."""

import time
from dataclasses import dataclass

from msgspec import Struct

from include.batch.evaluate.bootstrap import Interval, intervals
from include.batch.evaluate.controls import Canary, shuffled
from include.batch.evaluate.metrics import Scores, score, threshold_at_rate
from include.batch.models.fit import FITS
from include.batch.models.model import BASELINES, Model
from include.batch.parameters import Parameters
from include.batch.samples import Floats, Samples


@dataclass(frozen=True)
class Parts:
    """The rows of a split: fitted on, chosen on, judged on."""

    train: Samples
    inner: Samples
    test: Samples


class Judged(Struct, frozen=True):
    """Figures of one kind. `scores`, `intervals`: later visits of users never trained on; the threshold is of `inner`.

    `random` is of a random split, where a user's other visits are known: it flatters, and decides nothing. `canary`
    is None for the majority, which has no ranking. `seconds` is the wall time of the headline fit.
    """

    kind: str
    private: bool
    scores: Scores
    intervals: dict[str, Interval]
    inner: Scores
    random: Scores
    canary: Canary | None
    seconds: float


@dataclass(frozen=True)
class Trial:
    """A fitted model, its probabilities on the test and inner rows of the headline split, and how it was judged."""

    model: Model
    test: Floats
    inner: Floats
    judged: Judged


def trial(kind: str, headline: Parts, flattering: Parts, parameters: Parameters) -> Trial:
    """Fit a kind on both splits and on dealt labels, and judge it. Raises TerminalError where figures cannot be."""
    fit, seed, wanted = FITS[kind], parameters.seed, parameters.evaluate
    began = time.perf_counter()
    model = fit(headline.train, headline.inner, parameters.models, seed)
    seconds = time.perf_counter() - began
    test, inner = model.probabilities(headline.test), model.probabilities(headline.inner)
    threshold = threshold_at_rate(inner, float(headline.inner.y.mean()))
    y, group = headline.test.y, headline.test.group
    judged = Judged(
        kind=kind,
        private=model.private,
        scores=score(y, test, threshold),
        intervals=intervals(y, test, group, wanted.draws, wanted.confidence, seed, threshold),
        inner=score(headline.inner.y, inner, threshold),
        random=_random(kind, flattering, parameters),
        canary=None if kind == "majority" else _canary(kind, headline, parameters),
        seconds=round(seconds, 3),
    )
    return Trial(model, test, inner, judged)


def best(trials: dict[str, Judged], metric: str) -> str:
    """The kind with the highest `metric` on the inner rows, the first of equals; baselines only where nothing else is.

    The test rows have no say: a choice made on them would be paid for in their figures.
    """
    rivals = [kind for kind in trials if kind not in BASELINES] or list(trials)
    return max(rivals, key=lambda kind: float(getattr(trials[kind].inner, metric)))


def best_baseline(trials: dict[str, Judged], metric: str) -> str | None:
    """The baseline with the highest `metric` on the inner rows, None where none was fitted."""
    simple = {kind: judged for kind, judged in trials.items() if kind in BASELINES}
    return best(simple, metric) if simple else None


def _random(kind: str, parts: Parts, parameters: Parameters) -> Scores:
    model = FITS[kind](parts.train, parts.inner, parameters.models, parameters.seed)
    threshold = threshold_at_rate(model.probabilities(parts.inner), float(parts.inner.y.mean()))
    return score(parts.test.y, model.probabilities(parts.test), threshold)


def _canary(kind: str, parts: Parts, parameters: Parameters) -> Canary:
    return shuffled(
        FITS[kind],
        parts.train,
        parts.inner,
        parts.test,
        parameters.models,
        parameters.evaluate.draws,
        parameters.seed,
    )
