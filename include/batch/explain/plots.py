"""Pictures of an explanation: what matters most and in which direction, and how single columns act."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from include.batch.explain.attribution import Attribution

SHOWN = 12
DEPENDENCE = 4
DOTS_PER_INCH = 110


def draw(found: Attribution, folder: Path) -> list[Path]:
    """Write `explain-<kind>-summary.png` and `-dependence.png` into `folder`; the same input, the same pixels."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, picture in (("summary", _summary), ("dependence", _dependence)):
        figure = picture(plt, found)
        path = folder / f"explain-{found.kind}-{name}.png"
        partial = path.with_suffix(".partial")
        figure.savefig(partial, format="png", dpi=DOTS_PER_INCH, bbox_inches="tight", metadata={"Software": None})
        partial.replace(path)
        plt.close(figure)
        written.append(path)
    return written


def _summary(plt: Any, found: Attribution) -> Figure:
    import shap  # noqa: PLC0415

    figure: Figure
    axes: Axes
    figure, axes = plt.subplots()
    told = shap.Explanation(
        values=found.values, base_values=found.base, data=found.x.astype(np.float64), feature_names=list(found.columns)
    )
    # Points are moved apart by chance; the seed makes equal input equal pictures.
    np.random.seed(0)
    shap.plots.beeswarm(told, max_display=SHOWN, ax=axes, show=False, plot_size=None, group_remaining_features=False)
    figure.set_size_inches(9, 0.45 * min(SHOWN, len(found.columns)) + 1.5)
    axes.set_xlabel(f"moves the answer by, {found.unit}")
    axes.set_title(f"{found.kind}: {len(found.x)} held-out visits")
    return figure


def _dependence(plt: Any, found: Attribution) -> Figure:
    top = found.order()[:DEPENDENCE]
    figure: Figure = plt.figure(figsize=(10, 7), layout="constrained")
    for place, index in enumerate(top):
        axes = figure.add_subplot(2, 2, place + 1)
        values = found.x[:, index]
        known = ~np.isnan(values)
        axes.scatter(values[known], found.values[known, index], s=8, alpha=0.5, linewidths=0)
        axes.axhline(0.0, color="0.6", linewidth=0.8)
        if not known.all():
            _unknown(axes, found.values[~known, index])
        axes.set_xlabel(found.columns[index])
        axes.set_ylabel(found.unit)
    figure.suptitle(f"{found.kind}: how the most important columns act")
    return figure


def _unknown(axes: Axes, values: Any) -> None:
    left = axes.get_xlim()[0]
    axes.scatter(np.full(len(values), left), values, s=8, marker="x", color="0.4", label="unknown")
    axes.legend(loc="best", frameon=False)
