"""The private network at several epsilons on public data; each epsilon again from the numbers that were logged."""

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
"""Of the data set as its authors published it."""
TASKS = {"all": "uci-all", "honest": "uci-honest"}
BARS = {
    "all": {1.0: (0.914, 0.701), 3.0: (0.922, 0.718), 8.0: (0.927, 0.724)},
    "honest": {1.0: (0.745, 0.329), 3.0: (0.755, 0.346), 8.0: (0.758, 0.353)},
}
"""ROC-AUC and PR-AUC of the best figures known to us under the same protocol."""
TARGETS: dict[str, tuple[str, float]] = {
    "roc_auc_all_eps_1": ("at least", 0.910),
    "roc_auc_all_eps_3": ("at least", 0.918),
    "roc_auc_all_eps_8": ("at least", 0.923),
    "recomputed_agrees": ("at least", 1),
    "sigma_moves_epsilon": ("at least", 1),
    "training_s": ("at most", 5.0),
}


@dataclass(frozen=True)
class Point:
    """One epsilon on one set of columns: figures are means over the folds, `logged` is the first fold's mechanism."""

    columns: str
    epsilon: float
    roc_auc: float
    pr_auc: float
    brier: float
    seconds: tuple[float, ...]
    logged: str

    @property
    def mechanism(self) -> Mechanism:
        """Out of the logged text alone."""
        return msgspec.json.decode(self.logged, type=Mechanism)


def point(columns: str, folds: Sequence[Fold], private: PrivateParameters, seed: int) -> Point:
    """Train on each fold at `private.epsilon` and judge on its test rows."""
    figures, seconds, logged = [], [], []
    for number, fold in enumerate(folds):
        # Each session of this data set is of another user; equal ones share a fold, not a user.
        data = users(_single(fold.train), 1)
        mechanism = calibrate(
            Request(
                epsilon=private.epsilon,
                delta=private.delta,
                users=len(data),
                expected=private.users_per_step,
                steps=private.steps,
                clip=private.clip,
            )
        )
        # The data are public, and so may the noise be.
        noise = Noise(f"{seed}/{columns}/{private.epsilon}/{number}".encode())
        began = time.perf_counter()
        model = train(data, mechanism, private, noise, seed + number)
        seconds.append(round(time.perf_counter() - began, 2))
        p = model.probabilities(fold.test)
        figures.append(score(fold.test.y, p, threshold_at_rate(p, BASE_RATE)))
        logged.append(msgspec.json.encode(mechanism).decode())
    means = {name: float(np.mean([getattr(one, name) for one in figures])) for name in ("roc_auc", "pr_auc", "brier")}
    return Point(columns=columns, epsilon=private.epsilon, seconds=tuple(seconds), logged=logged[0], **means)


def _single(samples: Samples) -> Samples:
    return replace(samples, group=np.arange(len(samples)))


def without(folds: Sequence[Fold], nightly: Parameters, seed: int) -> float:
    """Mean ROC-AUC of the network without privacy on the same folds."""
    found = [fit("network", fold.train, nightly.models, seed).probabilities(fold.test) for fold in folds]
    return float(np.mean([score(fold.test.y, p, 0.5).roc_auc for fold, p in zip(folds, found, strict=True)]))


def epsilons_from_log(points: Sequence[Point]) -> list[dict[str, Any]]:
    """Epsilons from logged numbers: by the accountant, by a second way, by the coarser bound; for more noise."""
    rows = []
    for one in points:
        told = one.mechanism
        reported = accountant.epsilon(told)
        rows.append(
            {
                "asked": one.epsilon,
                "sigma": told.sigma,
                "reported": round(reported, 4),
                "recomputed": round(recompute.epsilon(told.sigma, told.rate, told.steps, told.delta), 4),
                "renyi_bound": round(accountant.renyi_bound(told), 4),
                "at_double_sigma": round(accountant.epsilon(msgspec.structs.replace(told, sigma=2 * told.sigma)), 4),
            }
        )
    return rows


def table(points: Sequence[Point], rows: Sequence[dict[str, Any]], plain: dict[str, float]) -> str:
    """What is printed: the points beside the bars, then epsilon by several ways."""
    lines = [f"{'columns':<8}{'epsilon':>8}{'ROC-AUC':>9}{'bar':>7}{'PR-AUC':>8}{'bar':>7}{'Brier':>8}{'seconds':>9}"]
    for one in points:
        roc, pr = BARS[one.columns].get(one.epsilon, (np.nan, np.nan))
        lines.append(
            f"{one.columns:<8}{one.epsilon:>8g}{one.roc_auc:>9.4f}{roc:>7.3f}{one.pr_auc:>8.4f}{pr:>7.3f}"
            f"{one.brier:>8.4f}{float(np.median(one.seconds)):>9.2f}"
        )
    lines += [f"{name:<8}{'without':>8}{value:>9.4f}   the network without privacy" for name, value in plain.items()]
    names = list(rows[0])
    lines += ["", "".join(f"{name:>17}" for name in names)]
    lines += ["".join(f"{row[name]:>17}" for name in names) for row in rows]
    return "\n".join(lines)


def draw(points: Sequence[Point], plain: dict[str, float], path: Path) -> None:
    """Utility against epsilon, the level without privacy dashed."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    names = dict.fromkeys(one.columns for one in points)
    for axis, metric, title in zip(axes, ("roc_auc", "pr_auc"), ("ROC-AUC", "PR-AUC"), strict=True):
        for number, name in enumerate(names):
            own = [one for one in points if one.columns == name]
            label = "all fields" if name == "all" else "without PageValues"
            values = [getattr(one, metric) for one in own]
            axis.plot([one.epsilon for one in own], values, "o-", color=f"C{number}", label=label)
            if metric == "roc_auc":
                axis.axhline(plain[name], color=f"C{number}", linestyle="--", linewidth=1)
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
    folder: Annotated[Path, typer.Option(help="Where privacy.json and privacy.png go.")] = FOLDER,
) -> None:
    """Measure; prints a table, then one JSON line, and draws privacy.png."""
    read = shoppers.read(data / shoppers.FILE)
    nightly = parameters.load()
    private = msgspec.structs.replace(nightly.private, prior=BASE_RATE)
    tasks = {task.name: task for task in uci(read, seed)}
    folds = {name: tasks[task].folds for name, task in TASKS.items()}
    # Its import takes longer than a training and is not part of one.
    tensorflow.load(seed)
    points = [
        point(name, parts, msgspec.structs.replace(private, epsilon=epsilon), seed)
        for name, parts in folds.items()
        for epsilon in EPSILONS
    ]
    plain = {name: without(parts, nightly, seed) for name, parts in folds.items()}
    rows = epsilons_from_log([one for one in points if one.columns == "all"])
    typer.echo(table(points, rows, plain))
    folder.mkdir(exist_ok=True)
    draw(points, plain, folder / "privacy.png")
    figures = _figures(points, rows) | {f"roc_auc_{name}_without": round(value, 4) for name, value in plain.items()}
    config = {"folds": FOLDS, "private": msgspec.to_builtins(private)}
    told = report(
        "privacy", figures=figures, targets=TARGETS, seed=seed, config=config, packages=PACKAGES, folder=folder
    )
    typer.echo(told)


def _figures(points: Sequence[Point], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for one in points:
        for metric in ("roc_auc", "pr_auc", "brier"):
            figures[f"{metric}_{one.columns}_eps_{one.epsilon:g}"] = round(getattr(one, metric), 4)
    seconds = [second for one in points for second in one.seconds]
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
