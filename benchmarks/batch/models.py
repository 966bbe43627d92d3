"""All kinds of models on public data by valid splits, with leakage checks, baselines and examples of leakage."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.batch import leakage_demo, repurchase, shoppers, table
from benchmarks.batch.measure import CONFIDENCE, DRAWS, CVScore, choose_kind, cross_validate, split_validation
from benchmarks.batch.tasks import FOLDS, ORIGINS, Fold, Task, repurchase_task, uci
from benchmarks.result import report
from include.batch.evaluation.leakage import ShuffledLabelCheck, shuffled_label_check
from include.batch.models.fit import FITS
from include.batch.parameters import ModelParameters, load
from include.contracts.errors import SettingsError, ShowroomError

PACKAGES = ("numpy", "scikit-learn", "tensorflow", "xgboost-cpu")
SHUFFLED_LABEL_KIND = "boost"
"""The kind that detects a leak of rows best; the kind that must reach the target is checked too."""


def run(
    data: Annotated[Path, typer.Option(help="Folder of the two public files.")] = Path("../shared/data"),
    seed: Annotated[int, typer.Option(help="Seed of the folds and of the models.")] = 42,
    task: Annotated[list[str] | None, typer.Option(help="Only this task; may be repeated.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Fit only this kind of model; may be repeated.")] = None,
) -> None:
    """Measure all models; print a table, then one JSON line."""
    began = time.monotonic()
    models = load().models
    kinds = _select(tuple(FITS), only, "kind of model")
    data_of_shoppers = shoppers.read(data / shoppers.FILE)
    tasks = (*uci(data_of_shoppers, seed), repurchase_task(repurchase.read(data / repurchase.FILE), seed))
    selected = _select(tuple(candidate.name for candidate in tasks), task, "task")
    figures: dict[str, Any] = {}
    targets: dict[str, tuple[str, float]] = {}
    for candidate in tasks:
        if candidate.name in selected:
            results, bounds = _task(candidate, kinds, models, seed)
            figures |= results
            targets |= bounds
    examples = leakage_demo.comparisons(data_of_shoppers.samples(), seed)
    typer.echo(table.format_leakage(examples))
    figures["flattering"] = {name: asdict(pair) for name, pair in examples.items()}
    figures |= {"wall_s": round(time.monotonic() - began, 1), "cpu_s": round(time.process_time(), 1)}
    config = {"folds": FOLDS, "origins": ORIGINS, "draws": DRAWS, "confidence": CONFIDENCE, "kinds": kinds}
    name = "models-part" if task or only else "models"
    typer.echo(report(name, figures=figures, targets=targets, seed=seed, config=config, packages=PACKAGES))


def _select(available: Sequence[str], requested: Sequence[str] | None, what: str) -> tuple[str, ...]:
    """Select the requested names in the order of `available`; all without a request.

    Raises:
        SettingsError: a requested name is unknown.
    """
    unknown = [name for name in requested or () if name not in available]
    if unknown:
        raise SettingsError(f"unknown {what} {', '.join(unknown)}", f"choose among: {', '.join(available)}")
    return tuple(name for name in available if not requested or name in requested)


def _task(
    task: Task, kinds: Sequence[str], models: ModelParameters, seed: int
) -> tuple[dict[str, Any], dict[str, tuple[str, float]]]:
    """Measure one task and print its table; return its metrics and their targets."""
    target_kind, earlier = choose_kind(task, kinds, models, seed)
    scores = {kind: cross_validate(kind, task.folds, models, seed) for kind in kinds}
    checks = {
        kind: check_shuffled_labels(kind, task.folds[0], models, seed)
        for kind in dict.fromkeys((SHUFFLED_LABEL_KIND, target_kind))
        if kind in scores
    }
    typer.echo(table.format_task(task, scores, target_kind, earlier, checks))
    figures: dict[str, Any] = {
        f"{task.name}.base_rate": round(task.base_rate, 4),
        f"{task.name}.headline": target_kind,
        f"{task.name}.models": {kind: _format_score(result) for kind, result in scores.items()},
        f"{task.name}.bar": task.bar,
        f"{task.name}.canary": {kind: _check_interval(result) for kind, result in checks.items()},
        f"{task.name}.canary_ok": float(all(result.ok for result in checks.values())),
    }
    targets: dict[str, tuple[str, float]] = {f"{task.name}.canary_ok": ("at least", 1.0)}
    if target_kind in scores:
        target_score = scores[target_kind]
        for name, value, bound in zip(
            ("roc_auc", "pr_auc"), (target_score.roc_auc.value, target_score.pr_auc.value), task.target, strict=True
        ):
            figures[f"{task.name}.{name}"] = round(value, 4)
            targets[f"{task.name}.{name}"] = ("at least", bound)
    return figures, targets


def check_shuffled_labels(kind: str, fold: Fold, models: ModelParameters, seed: int) -> ShuffledLabelCheck:
    """Train the kind on shuffled labels: the interval of its ROC-AUC must contain 0.5."""
    return shuffled_label_check(FITS[kind], *split_validation(fold.train, seed), fold.test, models, DRAWS, seed)


def _format_score(cv_score: CVScore) -> Mapping[str, Any]:
    return {
        "roc_auc": _interval(cv_score.roc_auc.value, cv_score.roc_auc.low, cv_score.roc_auc.high),
        "pr_auc": _interval(cv_score.pr_auc.value, cv_score.pr_auc.low, cv_score.pr_auc.high),
        "brier": round(cv_score.brier, 4),
        "calibration_error": round(cv_score.calibration_error, 4),
        "f1": round(cv_score.f1, 3),
        "accuracy": round(cv_score.accuracy, 3),
        "seconds": round(cv_score.seconds, 2),
    }


def _check_interval(check: ShuffledLabelCheck) -> list[float]:
    return _interval(check.roc_auc.value, check.roc_auc.low, check.roc_auc.high)


def _interval(*bounds: float) -> list[float]:
    """Return value, low and high, rounded."""
    return [round(bound, 4) for bound in bounds]


def main() -> None:
    """Run the command line; an error of the project ends it with one line."""
    app = typer.Typer(add_completion=False)
    app.command()(run)
    try:
        app(prog_name="./showroom bench models")
    except ShowroomError as error:
        sys.stderr.write(f"models: {error}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
