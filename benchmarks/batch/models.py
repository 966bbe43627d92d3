"""All kinds of models on public data by honest splits, with controls, beside the bars and the flattering figures."""

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
"""What finds a leak of rows best; the kind that must reach the target is asked as well."""


def run(
    data: Annotated[Path, typer.Option(help="Folder of the two public files.")] = Path("../shared/data"),
    seed: Annotated[int, typer.Option(help="Seed of the folds and of the models.")] = 42,
    task: Annotated[list[str] | None, typer.Option(help="Only this task; may be repeated.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Fit only this kind of model; may be repeated.")] = None,
) -> None:
    """Measure; prints a table, then one JSON line."""
    began = time.monotonic()
    models = load().models
    kinds = _named(tuple(FITS), only, "kind of model")
    data_of_shoppers = shoppers.read(data / shoppers.FILE)
    tasks = (*uci(data_of_shoppers, seed), repurchase_task(repurchase.read(data / repurchase.FILE), seed))
    wanted = _named(tuple(one.name for one in tasks), task, "task")
    figures: dict[str, Any] = {}
    targets: dict[str, tuple[str, float]] = {}
    for one in tasks:
        if one.name in wanted:
            found, bounds = _task(one, kinds, models, seed)
            figures |= found
            targets |= bounds
    format_leakage = leakage_demo.comparisons(data_of_shoppers.samples(), seed)
    typer.echo(table.format_leakage(format_leakage))
    figures["flattering"] = {name: asdict(pair) for name, pair in format_leakage.items()}
    figures |= {"wall_s": round(time.monotonic() - began, 1), "cpu_s": round(time.process_time(), 1)}
    config = {"folds": FOLDS, "origins": ORIGINS, "draws": DRAWS, "confidence": CONFIDENCE, "kinds": kinds}
    name = "models-part" if task or only else "models"
    typer.echo(report(name, figures=figures, targets=targets, seed=seed, config=config, packages=PACKAGES))


def _named(known: Sequence[str], wanted: Sequence[str] | None, what: str) -> tuple[str, ...]:
    """Those wanted, in the order in which they are known; all where none is. Raises SettingsError for another."""
    unknown = [name for name in wanted or () if name not in known]
    if unknown:
        raise SettingsError(f"there is no {what} {', '.join(unknown)}", f"there are: {', '.join(known)}")
    return tuple(name for name in known if not wanted or name in wanted)


def _task(
    task: Task, kinds: Sequence[str], models: ModelParameters, seed: int
) -> tuple[dict[str, Any], dict[str, tuple[str, float]]]:
    """Figures of one task and the targets they must meet; prints its table."""
    target_kind, earlier = choose_kind(task, kinds, models, seed)
    found = {kind: cross_validate(kind, task.folds, models, seed) for kind in kinds}
    canaries = {
        kind: check_shuffled_labels(kind, task.folds[0], models, seed)
        for kind in dict.fromkeys((SHUFFLED_LABEL_KIND, target_kind))
        if kind in found
    }
    typer.echo(table.format_task(task, found, target_kind, earlier, canaries))
    figures: dict[str, Any] = {
        f"{task.name}.base_rate": round(task.base_rate, 4),
        f"{task.name}.headline": target_kind,
        f"{task.name}.models": {kind: _plain(one) for kind, one in found.items()},
        f"{task.name}.bar": task.bar,
        f"{task.name}.canary": {kind: _rounded(one) for kind, one in canaries.items()},
        f"{task.name}.canary_ok": float(all(one.ok for one in canaries.values())),
    }
    targets: dict[str, tuple[str, float]] = {f"{task.name}.canary_ok": ("at least", 1.0)}
    if target_kind in found:
        reached = found[target_kind]
        for name, value, bound in zip(
            ("roc_auc", "pr_auc"), (reached.roc_auc.value, reached.pr_auc.value), task.target, strict=True
        ):
            figures[f"{task.name}.{name}"] = round(value, 4)
            targets[f"{task.name}.{name}"] = ("at least", bound)
    return figures, targets


def check_shuffled_labels(kind: str, fold: Fold, models: ModelParameters, seed: int) -> ShuffledLabelCheck:
    """The kind on labels dealt at random: its ROC-AUC must have 0.5 within its interval."""
    return shuffled_label_check(FITS[kind], *split_validation(fold.train, seed), fold.test, models, DRAWS, seed)


def _plain(one: CVScore) -> Mapping[str, Any]:
    return {
        "roc_auc": _interval(one.roc_auc.value, one.roc_auc.low, one.roc_auc.high),
        "pr_auc": _interval(one.pr_auc.value, one.pr_auc.low, one.pr_auc.high),
        "brier": round(one.brier, 4),
        "calibration_error": round(one.calibration_error, 4),
        "f1": round(one.f1, 3),
        "accuracy": round(one.accuracy, 3),
        "seconds": round(one.seconds, 2),
    }


def _rounded(one: ShuffledLabelCheck) -> list[float]:
    return _interval(one.roc_auc.value, one.roc_auc.low, one.roc_auc.high)


def _interval(*bounds: float) -> list[float]:
    """Value, low, high."""
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
