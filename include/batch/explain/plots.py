"""Explanation plots: a beeswarm summary and dependence plots of the most important columns."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from include.batch.explain.attribution import Attribution

MAX_COLUMNS = 12
DEPENDENCE_PLOTS = 4
DPI = 110


def draw(attribution: Attribution, folder: Path) -> list[Path]:
    """Write `explain-<kind>-summary.png` and `-dependence.png` into `folder`; equal input gives equal pixels."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, plot in (("summary", _summary), ("dependence", _dependence)):
        figure = plot(plt, attribution)
        path = folder / f"explain-{attribution.kind}-{name}.png"
        partial = path.with_suffix(".partial")
        figure.savefig(partial, format="png", dpi=DPI, bbox_inches="tight", metadata={"Software": None})
        partial.replace(path)
        plt.close(figure)
        written.append(path)
    return written


def _summary(plt: Any, attribution: Attribution) -> Figure:
    import shap  # noqa: PLC0415

    figure: Figure
    axes: Axes
    figure, axes = plt.subplots()
    explanation = shap.Explanation(
        values=attribution.values,
        base_values=attribution.base,
        data=attribution.x.astype(np.float64),
        feature_names=list(attribution.columns),
    )
    # The beeswarm jitters points with NumPy's global generator.
    np.random.seed(0)
    shap.plots.beeswarm(
        explanation, max_display=MAX_COLUMNS, ax=axes, show=False, plot_size=None, group_remaining_features=False
    )
    figure.set_size_inches(9, 0.45 * min(MAX_COLUMNS, len(attribution.columns)) + 1.5)
    axes.set_xlabel(f"impact on the prediction, {attribution.unit}")
    axes.set_title(f"{attribution.kind}: {len(attribution.x)} held-out visits")
    return figure


def _dependence(plt: Any, attribution: Attribution) -> Figure:
    top = attribution.order()[:DEPENDENCE_PLOTS]
    figure: Figure = plt.figure(figsize=(10, 7), layout="constrained")
    for position, index in enumerate(top):
        axes = figure.add_subplot(2, 2, position + 1)
        values = attribution.x[:, index]
        valid = ~np.isnan(values)
        axes.scatter(values[valid], attribution.values[valid, index], s=8, alpha=0.5, linewidths=0)
        axes.axhline(0.0, color="0.6", linewidth=0.8)
        if not valid.all():
            _draw_missing(axes, attribution.values[~valid, index])
        axes.set_xlabel(attribution.columns[index])
        axes.set_ylabel(attribution.unit)
    figure.suptitle(f"{attribution.kind}: dependence on the most important columns")
    return figure


def _draw_missing(axes: Axes, values: Any) -> None:
    left = axes.get_xlim()[0]
    axes.scatter(np.full(len(values), left), values, s=8, marker="x", color="0.4", label="missing")
    axes.legend(loc="best", frameon=False)
