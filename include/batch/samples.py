"""Model input: rows, labels and groups."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]
Labels = NDArray[np.bool_]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Samples:
    """Columns, labels and groups of n visits, or of n rows of a public data set.

    Attributes:
        x: unscaled columns for trees (n, d), NaN if missing.
        z: columns scaled by constants (n, e), without NaN, for linear models and networks.
        y: whether the visit ended in a purchase (n,).
        group: number of the user (n,), or of another group that a split must not divide.
        columns: names of the d columns.
    """

    x: Matrix
    z: Matrix
    y: Labels
    group: Rows
    columns: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: Rows) -> "Samples":
        """Return these rows, in the given order."""
        return Samples(self.x[rows], self.z[rows], self.y[rows], self.group[rows], self.columns)

    def with_labels(self, y: Labels) -> "Samples":
        """Return the same rows with other labels."""
        return Samples(self.x, self.z, y, self.group, self.columns)
