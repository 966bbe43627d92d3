"""Step train: every kind of model fitted, judged and kept in the run's folder."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from include.batch.context import Context
from include.batch.evaluate import plots, split
from include.batch.evaluate.split import Split
from include.batch.evaluate.trial import Judged, Parts, Trial, best, best_baseline, trial
from include.batch.features import columns, table
from include.batch.models import artifact
from include.batch.models.fit import FITS
from include.batch.samples import Samples
from include.contracts.errors import SettingsError

MODELS, PREDICTIONS, PLOTS = "models", "predictions", "plots"
"""Folders of a run: a model each, its probabilities on the inner and test rows, and figures."""


def run(context: Context) -> Mapping[str, object]:
    """Fit, judge and keep all kinds, or those of `context.only`; the summary.

    Reads features.parquet and split.npz; replaces models/, predictions/ and plots/ of these kinds once all are
    fitted. Raises SettingsError for an unknown kind, TerminalError where an earlier step has not run.
    """
    kinds = _kinds(context.only)
    found = table.read(context.out)
    samples, splits = columns.samples(found), split.load(context.out)
    headline, flattering = _parts(samples, splits.temporal), _parts(samples, splits.random)
    context.say(f"train {len(headline.train)}, inner {len(headline.inner)}, test {len(headline.test)} visits")
    trials: dict[str, Trial] = {}
    for kind in kinds:
        trials[kind] = trial(kind, headline, flattering, context.parameters)
        context.say(_line(trials[kind].judged))
    digests = _keep(context.out, trials, samples.columns)
    drawn = plots.draw(headline.test.y, {kind: made.test for kind, made in trials.items()}, context.out / PLOTS)
    return {
        "data": found.digest,
        "rows": {"train": len(headline.train), "inner": len(headline.inner), "test": len(headline.test)},
        **_told({kind: made.judged for kind, made in trials.items()}, context),
        "digests": digests,
        "plots": [str(path.relative_to(context.out)) for path in drawn],
    }


def _kinds(only: tuple[str, ...]) -> tuple[str, ...]:
    unknown = sorted(set(only) - set(FITS))
    if unknown:
        raise SettingsError(f"no kinds of model to fit: {', '.join(unknown)}", f"kinds are: {', '.join(FITS)}")
    return tuple(kind for kind in FITS if not only or kind in only)


def _parts(samples: Samples, rows: Split) -> Parts:
    return Parts(samples.take(rows.train), samples.take(rows.inner), samples.take(rows.test))


def _told(judged: dict[str, Judged], context: Context) -> dict[str, object]:
    """What the summary says of the models; `above_ceiling` are too good to be true."""
    metric, ceiling = context.parameters.promotion.metric, context.ceiling
    above = [kind for kind, found in judged.items() if ceiling is not None and found.intervals["roc_auc"].low > ceiling]
    return {
        "split": "later visits of users never trained on; `random` is flattering and decides nothing",
        "metric": metric,
        "best": best(judged, metric),
        "best_baseline": best_baseline(judged, metric),
        "ceiling": ceiling,
        "above_ceiling": above,
        "models": {kind: msgspec.to_builtins(found) for kind, found in judged.items()},
        "table": [_row(found) for found in judged.values()],
    }


def _row(judged: Judged) -> dict[str, object]:
    """One line of the table that is shown."""
    pr, roc = judged.intervals["pr_auc"], judged.intervals["roc_auc"]
    canary = judged.canary
    return {
        "model": judged.kind,
        "PR-AUC": f"{pr.value:.3f} [{pr.low:.3f}, {pr.high:.3f}]",
        "ROC-AUC": f"{roc.value:.3f} [{roc.low:.3f}, {roc.high:.3f}]",
        "Brier": f"{judged.scores.brier:.4f}",
        "calibration error": f"{judged.scores.calibration_error:.3f}",
        "F1": f"{judged.scores.f1:.3f}",
        "random split ROC-AUC (flattering)": f"{judged.random.roc_auc:.3f}",
        "dealt labels": "" if canary is None else f"{canary.roc_auc.value:.3f} {'ok' if canary.ok else 'LEAK'}",
        "seconds": f"{judged.seconds:.1f}",
    }


def _line(judged: Judged) -> str:
    row = _row(judged)
    return f"{judged.kind}: PR-AUC {row['PR-AUC']}, ROC-AUC {row['ROC-AUC']}, fitted in {row['seconds']} s"


def _keep(out: Path, trials: dict[str, Trial], names: tuple[str, ...]) -> dict[str, str]:
    """Models and predictions into the folder; of kinds that were not fitted now, nothing stays."""
    (out / PREDICTIONS).mkdir(parents=True, exist_ok=True)
    for kind in set(FITS) - set(trials):
        shutil.rmtree(out / MODELS / kind, ignore_errors=True)
        (out / PREDICTIONS / f"{kind}.npz").unlink(missing_ok=True)
    for kind, made in trials.items():
        path = out / PREDICTIONS / f"{kind}.npz"
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, test=made.test, inner=made.inner)
        partial.replace(path)
    return {kind: artifact.save(made.model, out / MODELS / kind, names) for kind, made in trials.items()}
