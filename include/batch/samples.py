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
    """n visits (or rows of a public data set).

    `x` (n, d) holds the unscaled columns for trees, NaN where missing; `z` (n, e) the columns scaled by constants, NaN
    replaced, for linear models and networks; `y` (n,) whether the visit ended in a purchase; `group` (n,) the number of
    its user, or of another group that a split must not divide.
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
