"""The interface of every fitted model."""

from pathlib import Path
from typing import Protocol

from include.batch.samples import Floats, Samples

BASELINES: tuple[str, ...] = ("majority", "one_rule")
"""Kinds that a model must beat to be worth its trouble; they never become champion."""


class Model(Protocol):
    """A fitted model. `private`: whether it was trained with differential privacy."""

    @property
    def kind(self) -> str:
        """The name of its kind, such as `boost`."""
        ...

    @property
    def private(self) -> bool:
        """Whether differential privacy was part of the training."""
        ...

    def probabilities(self, samples: Samples) -> Floats:
        """(n,) probability of a purchase, in [0, 1]; labels and groups are not looked at."""
        ...

    def write(self, folder: Path) -> None:
        """Put its files into an existing folder; include.batch.models.artifact adds the manifest."""
        ...
