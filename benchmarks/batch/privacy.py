"""The private network at several epsilons on public data; each epsilon is recomputed from the logged mechanism."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import matplotlib as mpl
import msgspec
import numpy as np
import typer

from benchmarks.batch import shoppers
from benchmarks.batch.measure import fit
from benchmarks.batch.tasks import FOLDS, Fold, uci
from benchmarks.result import FOLDER, report
from include.batch import parameters
from include.batch.evaluation.metrics import score, threshold_at_rate
from include.batch.models import tensorflow
from include.batch.parameters import Parameters, PrivateParameters
from include.batch.privacy import accountant, recompute
from include.batch.privacy.dp_sgd import train
from include.batch.privacy.mechanism import Mechanism, Request, calibrate
from include.batch.privacy.noise import Noise
from include.batch.privacy.users import users
from include.batch.samples import Samples
from include.contracts.errors import ShowroomError

mpl.use("Agg")
import matplotlib.pyplot as plt

PACKAGES = ("dp-accounting", "numpy", "tensorflow", "tensorflow-privacy")
EPSILONS = (1.0, 3.0, 8.0)
BASE_RATE = 0.155
"""Base rate of the data set as published by its authors."""
TASKS = {"all": "uci-all", "honest": "uci-honest"}
PUBLISHED_SCORES = {
    "all": {1.0: (0.914, 0.701), 3.0: (0.922, 0.718), 8.0: (0.927, 0.724)},
    "honest": {1.0: (0.745, 0.329), 3.0: (0.755, 0.346), 8.0: (0.758, 0.353)},
}
"""ROC-AUC and PR-AUC of the best published results under the same protocol."""
TARGETS: dict[str, tuple[str, float]] = {
    "roc_auc_all_eps_1": ("at least", 0.910),
    "roc_auc_all_eps_3": ("at least", 0.918),
    "roc_auc_all_eps_8": ("at least", 0.923),
    "recomputed_agrees": ("at least", 1),
    "sigma_moves_epsilon": ("at least", 1),
    "training_s": ("at most", 5.0),
}


@dataclass(frozen=True)
class CurvePoint:
    """One epsilon on one set of columns: scores are means over the folds, `logged` is the first fold's mechanism."""

    columns: str
    epsilon: float
    roc_auc: float
    pr_auc: float
    brier: float
    seconds: tuple[float, ...]
    logged: str

    @property
    def mechanism(self) -> Mechanism:
        """The mechanism, decoded from the logged text alone."""
        return msgspec.json.decode(self.logged, type=Mechanism)


def measure(columns: str, folds: Sequence[Fold], private: PrivateParameters, seed: int) -> CurvePoint:
    """Train on each fold at `private.epsilon` and score on its test rows."""
    figures, seconds, logged = [], [], []
    for number, fold in enumerate(folds):
        # Each session of this data set is of another user; equal sessions share a fold, not a user.
        data = users(_one_session_per_user(fold.train), 1)
        mechanism = calibrate(
            Request(
                epsilon=private.epsilon,
                delta=private.delta,
                users=len(data),
                expected_users=private.users_per_step,
                steps=private.steps,
                clip=private.clip,
            )
        )
        # The data are public, so the noise need not be secret.
        noise = Noise(f"{seed}/{columns}/{private.epsilon}/{number}".encode())
        began = time.perf_counter()
        model = train(data, mechanism, private, noise, seed + number)
        seconds.append(round(time.perf_counter() - began, 2))
        p = model.probabilities(fold.test)
        figures.append(score(fold.test.y, p, threshold_at_rate(p, BASE_RATE)))
        logged.append(msgspec.json.encode(mechanism).decode())
    means = {
        name: float(np.mean([getattr(fold_scores, name) for fold_scores in figures]))
        for name in ("roc_auc", "pr_auc", "brier")
    }
    return CurvePoint(columns=columns, epsilon=private.epsilon, seconds=tuple(seconds), logged=logged[0], **means)


def _one_session_per_user(samples: Samples) -> Samples:
    return replace(samples, group=np.arange(len(samples)))


def non_private_auc(folds: Sequence[Fold], nightly: Parameters, seed: int) -> float:
    """Return the mean ROC-AUC of the network without privacy on the same folds."""
    predictions = [fit("network", fold.train, nightly.models, seed).probabilities(fold.test) for fold in folds]
    return float(np.mean([score(fold.test.y, p, 0.5).roc_auc for fold, p in zip(folds, predictions, strict=True)]))


def epsilons_from_log(points: Sequence[CurvePoint]) -> list[dict[str, Any]]:
    """Return the epsilons of logged mechanisms.

    Each row contains the accountant's epsilon, the recomputed one, the Renyi bound, and epsilon at double noise.
    """
    rows = []
    for curve_point in points:
        mechanism = curve_point.mechanism
        reported = accountant.epsilon(mechanism)
        rows.append(
            {
                "asked": curve_point.epsilon,
                "sigma": mechanism.sigma,
                "reported": round(reported, 4),
                "recomputed": round(
                    recompute.epsilon(mechanism.sigma, mechanism.rate, mechanism.steps, mechanism.delta), 4
                ),
                "renyi_bound": round(accountant.renyi_bound(mechanism), 4),
                "at_double_sigma": round(
                    accountant.epsilon(msgspec.structs.replace(mechanism, sigma=2 * mechanism.sigma)), 4
                ),
            }
        )
    return rows


def table(points: Sequence[CurvePoint], rows: Sequence[dict[str, Any]], non_private: dict[str, float]) -> str:
    """Format the printed tables: scores with the bars, then epsilon by several methods."""
    lines = [f"{'columns':<8}{'epsilon':>8}{'ROC-AUC':>9}{'bar':>7}{'PR-AUC':>8}{'bar':>7}{'Brier':>8}{'seconds':>9}"]
    for curve_point in points:
        roc, pr = PUBLISHED_SCORES[curve_point.columns].get(curve_point.epsilon, (np.nan, np.nan))
        lines.append(
            f"{curve_point.columns:<8}{curve_point.epsilon:>8g}{curve_point.roc_auc:>9.4f}{roc:>7.3f}{curve_point.pr_auc:>8.4f}{pr:>7.3f}"
            f"{curve_point.brier:>8.4f}{float(np.median(curve_point.seconds)):>9.2f}"
        )
    lines += [
        f"{name:<8}{'without':>8}{value:>9.4f}   the network without privacy" for name, value in non_private.items()
    ]
    names = list(rows[0])
    lines += ["", "".join(f"{name:>17}" for name in names)]
    lines += ["".join(f"{row[name]:>17}" for name in names) for row in rows]
    return "\n".join(lines)


def draw(points: Sequence[CurvePoint], non_private: dict[str, float], path: Path) -> None:
    """Plot utility against epsilon; the level without privacy is dashed."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    names = dict.fromkeys(curve_point.columns for curve_point in points)
    for axis, metric, title in zip(axes, ("roc_auc", "pr_auc"), ("ROC-AUC", "PR-AUC"), strict=True):
        for number, name in enumerate(names):
            curve = [curve_point for curve_point in points if curve_point.columns == name]
            label = "all fields" if name == "all" else "without PageValues"
            values = [getattr(curve_point, metric) for curve_point in curve]
            axis.plot([curve_point.epsilon for curve_point in curve], values, "o-", color=f"C{number}", label=label)
            if metric == "roc_auc":
                axis.axhline(non_private[name], color=f"C{number}", linestyle="--", linewidth=1)
        axis.set(xscale="log", xlabel="epsilon (delta 1e-5, one user)", ylabel=title)
        axis.set_xticks(EPSILONS, [f"{epsilon:g}" for epsilon in EPSILONS])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        axis.legend()
    figure.suptitle("Private network on UCI Online Shoppers, 5 folds; dashed: without privacy")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def run(
    data: Annotated[Path, typer.Option(help="Folder of the public file.")] = Path("../shared/data"),
    seed: Annotated[int, typer.Option(help="Seed of the folds, the first weights and the noise.")] = 42,
    folder: Annotated[Path, typer.Option(help="Folder of privacy.json and privacy.png.")] = FOLDER,
) -> None:
    """Measure the private network; print a table, then one JSON line, and draw privacy.png."""
    shopper_data = shoppers.read(data / shoppers.FILE)
    nightly = parameters.load()
    private = msgspec.structs.replace(nightly.private, prior=BASE_RATE)
    tasks = {task.name: task for task in uci(shopper_data, seed)}
    folds = {name: tasks[task].folds for name, task in TASKS.items()}
    # Import TensorFlow before the timed trainings, because the import takes longer than a training.
    tensorflow.load(seed)
    points = [
        measure(name, parts, msgspec.structs.replace(private, epsilon=epsilon), seed)
        for name, parts in folds.items()
        for epsilon in EPSILONS
    ]
    non_private = {name: non_private_auc(parts, nightly, seed) for name, parts in folds.items()}
    rows = epsilons_from_log([curve_point for curve_point in points if curve_point.columns == "all"])
    typer.echo(table(points, rows, non_private))
    folder.mkdir(exist_ok=True)
    draw(points, non_private, folder / "privacy.png")
    figures = _figures(points, rows) | {
        f"roc_auc_{name}_without": round(value, 4) for name, value in non_private.items()
    }
    config = {"folds": FOLDS, "private": msgspec.to_builtins(private)}
    line = report(
        "privacy", figures=figures, targets=TARGETS, seed=seed, config=config, packages=PACKAGES, folder=folder
    )
    typer.echo(line)


def _figures(points: Sequence[CurvePoint], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for curve_point in points:
        for metric in ("roc_auc", "pr_auc", "brier"):
            figures[f"{metric}_{curve_point.columns}_eps_{curve_point.epsilon:g}"] = round(
                getattr(curve_point, metric), 4
            )
    seconds = [second for curve_point in points for second in curve_point.seconds]
    return figures | {
        "epsilon": list(rows),
        "recomputed_agrees": int(
            all(
                recompute.agrees(row["reported"], row["recomputed"]) and row["reported"] <= row["renyi_bound"]
                for row in rows
            )
        ),
        "sigma_moves_epsilon": int(all(row["at_double_sigma"] < row["reported"] for row in rows)),
        "training_s": float(np.median(seconds)),
        "training_slowest_s": max(seconds),
    }


def main() -> None:
    """Run the command line; an error of the project ends it with one line."""
    app = typer.Typer(add_completion=False)
    app.command()(run)
    try:
        app(prog_name="./showroom bench privacy")
    except ShowroomError as error:
        sys.stderr.write(f"privacy: {error}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
