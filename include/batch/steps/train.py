"""Step train: fit, evaluate and store every kind of model."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from include.batch.evaluation import plots, splits
from include.batch.evaluation.evaluate import EvaluatedModel, Evaluation, SplitSamples, best, best_baseline, evaluate
from include.batch.evaluation.splits import Split
from include.batch.features import columns, table
from include.batch.inputs import Inputs, Outputs
from include.batch.models import artifact
from include.batch.models.fit import FITS
from include.batch.parameters import Parameters
from include.batch.run_folder import MODELS, PLOTS, PREDICTIONS
from include.batch.samples import Samples
from include.contracts.errors import SettingsError


def run(inputs: Inputs, parameters: Parameters) -> Outputs:
    """Fit, evaluate and store all kinds of model, or those of `inputs.only`.

    Reads features.parquet and split.npz; replaces models/, predictions/ and plots/ of these kinds once all are fitted.

    Raises:
        SettingsError: a kind of model is unknown.
        TerminalError: the step features has not run.
    """
    kinds = _kinds(inputs.only)
    features = table.read(inputs.out)
    samples, rows = columns.samples(features), splits.load(inputs.out)
    temporal, random_split = _take(samples, rows.temporal), _take(samples, rows.random)
    sizes = {
        "train": len(temporal.train),
        "validation": len(temporal.validation),
        "test": len(temporal.test),
    }
    inputs.log(", ".join(f"{part} {size}" for part, size in sizes.items()) + " visits")
    models: dict[str, EvaluatedModel] = {}
    for kind in kinds:
        models[kind] = evaluate(kind, temporal, random_split, parameters)
        inputs.log(_line(models[kind].evaluation))
    digests = _store(inputs.out, models, samples.columns)
    paths = plots.draw(temporal.test.y, {kind: model.test for kind, model in models.items()}, inputs.out / PLOTS)
    evaluations = {kind: model.evaluation for kind, model in models.items()}
    return {
        "data": features.digest,
        "rows": sizes,
        **_summarize(evaluations, parameters.promotion.metric, inputs.oracle_auc),
        "digests": digests,
        "plots": [str(path.relative_to(inputs.out)) for path in paths],
    }


def _kinds(only: tuple[str, ...]) -> tuple[str, ...]:
    unknown = sorted(set(only) - set(FITS))
    if unknown:
        raise SettingsError(f"no kinds of model to fit: {', '.join(unknown)}", f"kinds are: {', '.join(FITS)}")
    return tuple(kind for kind in FITS if not only or kind in only)


def _take(samples: Samples, rows: Split) -> SplitSamples:
    return SplitSamples(samples.take(rows.train), samples.take(rows.validation), samples.take(rows.test))


def _summarize(evaluations: Mapping[str, Evaluation], metric: str, oracle_auc: float | None) -> dict[str, object]:
    """Summarize the models.

    Kinds in `above_oracle_auc` rank better than any model can, which indicates a leak.
    """
    return {
        "split": "temporal holdout: later visits of users never trained on; `random` is an optimistic split",
        "metric": metric,
        "best": best(evaluations, metric),
        "best_baseline": best_baseline(evaluations, metric),
        "oracle_auc": oracle_auc,
        "above_oracle_auc": [
            kind
            for kind, evaluation in evaluations.items()
            if oracle_auc is not None and evaluation.intervals["roc_auc"].low > oracle_auc
        ],
        "models": {kind: msgspec.to_builtins(evaluation) for kind, evaluation in evaluations.items()},
        "table": [_row(evaluation) for evaluation in evaluations.values()],
    }


def _row(evaluation: Evaluation) -> dict[str, object]:
    """Return one row of the table that the DAG's task and the demo print."""
    pr, roc = evaluation.intervals["pr_auc"], evaluation.intervals["roc_auc"]
    check = evaluation.shuffled_label_check
    return {
        "model": evaluation.kind,
        "PR-AUC": f"{pr.value:.3f} [{pr.low:.3f}, {pr.high:.3f}]",
        "ROC-AUC": f"{roc.value:.3f} [{roc.low:.3f}, {roc.high:.3f}]",
        "Brier": f"{evaluation.scores.brier:.4f}",
        "calibration error": f"{evaluation.scores.calibration_error:.3f}",
        "F1": f"{evaluation.scores.f1:.3f}",
        "random split ROC-AUC (optimistic)": f"{evaluation.random.roc_auc:.3f}",
        "shuffled labels": "" if check is None else f"{check.roc_auc.value:.3f} {'ok' if check.ok else 'LEAK'}",
        "seconds": f"{evaluation.seconds:.1f}",
    }


def _line(evaluation: Evaluation) -> str:
    row = _row(evaluation)
    return f"{evaluation.kind}: PR-AUC {row['PR-AUC']}, ROC-AUC {row['ROC-AUC']}, fitted in {row['seconds']} s"


def _store(out: Path, models: Mapping[str, EvaluatedModel], names: tuple[str, ...]) -> dict[str, str]:
    """Write models and predictions into the folder; delete those of kinds that were not fitted now."""
    (out / PREDICTIONS).mkdir(parents=True, exist_ok=True)
    for kind in set(FITS) - set(models):
        shutil.rmtree(out / MODELS / kind, ignore_errors=True)
        (out / PREDICTIONS / f"{kind}.npz").unlink(missing_ok=True)
    for kind, model in models.items():
        path = out / PREDICTIONS / f"{kind}.npz"
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, test=model.test, validation=model.validation)
        partial.replace(path)
    return {kind: artifact.save(model.model, out / MODELS / kind, names) for kind, model in models.items()}
