"""Evaluation plots of several models on the same rows, as PNG.

They contain no timestamps, so equal input gives equal files.
"""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from include.batch.evaluation.metrics import calibration
from include.batch.samples import Floats, Labels

SIZE = (6.0, 4.5)
DPI = 110


def draw(y: Labels, scores: Mapping[str, Floats], folder: Path) -> tuple[Path, ...]:
    """Write calibration.png, roc.png and precision_recall.png.

    Args:
        y: outcomes (n,).
        scores: probabilities (n,) of each model.
        folder: target folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(
        _save(paint(y, scores), folder / f"{name}.png")
        for name, paint in (("calibration", _calibration), ("roc", _roc), ("precision_recall", _precision_recall))
    )


def _calibration(y: Labels, scores: Mapping[str, Floats]) -> Figure:
    figure, axes = _axes("predicted probability", "observed purchase rate", "Calibration, ten bins of equal size")
    tables = {name: calibration(y, p) for name, p in scores.items()}
    top = max((max(part.predicted, part.observed) for table in tables.values() for part in table), default=1.0)
    axes.plot([0.0, top], [0.0, top], color="0.6", linestyle=":")
    for name, table in tables.items():
        axes.plot([part.predicted for part in table], [part.observed for part in table], marker="o", label=name)
    axes.legend()
    return figure


def _roc(y: Labels, scores: Mapping[str, Floats]) -> Figure:
    figure, axes = _axes("false positive rate", "true positive rate", "ROC")
    axes.plot([0.0, 1.0], [0.0, 1.0], color="0.6", linestyle=":")
    for name, p in scores.items():
        false_rate, true_rate, _ = roc_curve(y, p)
        axes.plot(false_rate, true_rate, label=name)
    axes.legend()
    return figure


def _precision_recall(y: Labels, scores: Mapping[str, Floats]) -> Figure:
    figure, axes = _axes("recall", "precision", "Precision and recall")
    axes.axhline(float(y.mean()), color="0.6", linestyle=":")
    for name, p in scores.items():
        precision, recall, _ = precision_recall_curve(y, p)
        axes.plot(recall, precision, drawstyle="steps-post", label=name)
    axes.legend()
    return figure


def _axes(across: str, up: str, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel=across, ylabel=up, title=title)
    return figure, axes


def _save(figure: Figure, path: Path) -> Path:
    partial = path.with_suffix(".partial")
    figure.savefig(partial, format="png", metadata={"Software": None})
    partial.replace(path)
    return path
