"""Baseline models: the majority, and one threshold on one column."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import msgspec
import numpy as np
from msgspec import Struct
from sklearn.tree import DecisionTreeClassifier

from include.batch.parameters import ModelParameters
from include.batch.samples import Floats, Labels, Samples

FILE = "rule.json"


class _Rate(Struct, frozen=True, forbid_unknown_fields=True):
    """The stored form of a majority: the share of purchases."""

    rate: float


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """x[:, index] > threshold (or NaN, where `unknown_above`) has the probability `above`, otherwise `below`."""

    column: str
    index: int
    threshold: float
    unknown_above: bool
    below: float
    above: float


@dataclass(frozen=True)
class Majority:
    """The share of purchases in the training part, for every row."""

    rate: float
    kind: ClassVar[str] = "majority"
    private: ClassVar[bool] = False

    def probabilities(self, samples: Samples) -> Floats:
        """Return the (n,) base rate, the same for each row."""
        return np.full(len(samples), self.rate)

    def write(self, folder: Path) -> None:
        """Write rule.json."""
        (folder / FILE).write_bytes(msgspec.json.encode(_Rate(self.rate)))

    @classmethod
    def read(cls, folder: Path) -> "Majority":
        """Read what `write` wrote.

        Raises:
            OSError: the file is unreadable.
            msgspec.MsgspecError: the file is invalid.
        """
        return cls(msgspec.json.decode((folder / FILE).read_bytes(), type=_Rate).rate)


@dataclass(frozen=True)
class OneRule:
    """One threshold on one column."""

    rule: Rule
    kind: ClassVar[str] = "one_rule"
    private: ClassVar[bool] = False

    def probabilities(self, samples: Samples) -> Floats:
        """Return (n,) probabilities, each one of two values."""
        values = samples.x[:, self.rule.index]
        above = np.where(np.isnan(values), self.rule.unknown_above, values > self.rule.threshold)
        return np.where(above, self.rule.above, self.rule.below)

    def write(self, folder: Path) -> None:
        """Write rule.json."""
        (folder / FILE).write_bytes(msgspec.json.encode(self.rule))

    @classmethod
    def read(cls, folder: Path) -> "OneRule":
        """Read what `write` wrote.

        Raises:
            OSError: the file is unreadable.
            msgspec.MsgspecError: the file is invalid.
        """
        return cls(msgspec.json.decode((folder / FILE).read_bytes(), type=Rule))


def majority(train: Samples, validation: Samples, parameters: ModelParameters, seed: int) -> Majority:
    """Return the base rate as a model; `validation`, `parameters` and `seed` are not used."""
    return Majority(_smoothed(train.y))


def one_rule(train: Samples, validation: Samples, parameters: ModelParameters, seed: int) -> OneRule:
    """Fit the threshold on one column with the lowest log loss on train and validation; ties by the seed."""
    x, y = np.concatenate([train.x, validation.x]), np.concatenate([train.y, validation.y])
    stump = DecisionTreeClassifier(criterion="log_loss", max_depth=1, random_state=seed % 2**32).fit(x, y)
    if stump.tree_.node_count == 1:
        rate = _smoothed(y)
        return OneRule(Rule(train.columns[0], 0, 0.0, unknown_above=False, below=rate, above=rate))
    index, threshold = int(stump.tree_.feature[0]), float(stump.tree_.threshold[0])
    unknown_above = not bool(stump.tree_.missing_go_to_left[0])
    above = np.where(np.isnan(x[:, index]), unknown_above, x[:, index] > threshold)
    rule = Rule(
        column=train.columns[index],
        index=index,
        threshold=threshold,
        unknown_above=unknown_above,
        below=_smoothed(y[~above]),
        above=_smoothed(y[above]),
    )
    return OneRule(rule)


def _smoothed(y: Labels) -> float:
    """Return the rate by Laplace's rule of succession, never 0 or 1."""
    return float((y.sum() + 1.0) / (len(y) + 2.0))
