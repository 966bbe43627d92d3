"""The interface of every fitted model."""

from pathlib import Path
from typing import Protocol

from include.batch.samples import Floats, Samples

BASELINES: tuple[str, ...] = ("majority", "one_rule")
"""Kinds that a challenger must beat; they never become champion."""


class Model(Protocol):
    """A fitted model."""

    @property
    def kind(self) -> str:
        """Kind of the model, such as `boost`."""
        ...

    @property
    def private(self) -> bool:
        """Whether the model was trained with differential privacy."""
        ...

    def probabilities(self, samples: Samples) -> Floats:
        """Return the (n,) probability of a purchase, in [0, 1]; labels and groups are ignored."""
        ...

    def write(self, folder: Path) -> None:
        """Write the model's files into an existing folder; include.batch.models.artifact adds the manifest."""
        ...
