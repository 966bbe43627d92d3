"""What every model is fitted on and asked about."""

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

    `x` (n, d) holds the columns as they are, NaN where unknown, for trees; `z` (n, e) the same scaled by constants
    that no data set, NaN replaced, for linear models and networks; `y` (n,) whether it ended in a purchase;
    `group` (n,) the number of its user, or of whatever must not stand on both sides of a split.
    """

    x: Matrix
    z: Matrix
    y: Labels
    group: Rows
    columns: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: Rows) -> "Samples":
        """Only these rows, in their order."""
        return Samples(self.x[rows], self.z[rows], self.y[rows], self.group[rows], self.columns)

    def labelled(self, y: Labels) -> "Samples":
        """The same rows with other labels."""
        return Samples(self.x, self.z, y, self.group, self.columns)
