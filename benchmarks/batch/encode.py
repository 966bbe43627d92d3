"""Encoders of numbers with constant parameters; nothing is fitted, so no encoder leaks test rows or users."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from include.batch.samples import Floats, Matrix


class Encoder(Protocol):
    """The encoding of one field (n,): `raw` for trees (n, d), `scaled` for networks and linear models (n, e)."""

    def names(self, field: str) -> tuple[str, ...]:
        """Return the names of the d raw columns."""

    def raw(self, values: Floats) -> Matrix:
        """Return (n, d) values, NaN if unknown."""

    def scaled(self, values: Floats) -> Matrix:
        """Return (n, e) values in about [0, 1], never NaN."""


@dataclass(frozen=True)
class Log:
    """Encoder of a count, duration or amount >= 0: logarithm, 1 from `cap` on, and an indicator of values > 0."""

    cap: float

    def names(self, field: str) -> tuple[str, ...]:
        """Return one name."""
        return (field,)

    def raw(self, values: Floats) -> Matrix:
        """Return (n, 1) values."""
        return values[:, None].astype(np.float32)

    def scaled(self, values: Floats) -> Matrix:
        """Return (n, 2): log(1 + v) / log(1 + cap), and v > 0."""
        filled = np.nan_to_num(values, nan=0.0)
        logs = np.log1p(np.clip(filled, 0, self.cap)) / np.log1p(self.cap)
        return np.column_stack([logs, filled > 0]).astype(np.float32)


@dataclass(frozen=True)
class Share:
    """Encoder of a share of `whole`, and its square root, which spreads values near 0."""

    whole: float

    def names(self, field: str) -> tuple[str, ...]:
        """Return one name."""
        return (field,)

    def raw(self, values: Floats) -> Matrix:
        """Return (n, 1) values."""
        return values[:, None].astype(np.float32)

    def scaled(self, values: Floats) -> Matrix:
        """Return (n, 2): v / whole and its square root."""
        share = np.clip(np.nan_to_num(values, nan=0.0) / self.whole, 0, 1)
        return np.column_stack([share, np.sqrt(share)]).astype(np.float32)


@dataclass(frozen=True)
class Kinds:
    """One-hot encoder of a closed list of kinds; other values encode to zeros."""

    kinds: tuple[int, ...]

    def names(self, field: str) -> tuple[str, ...]:
        """Return `field=kind` for each kind."""
        return tuple(f"{field}={kind}" for kind in self.kinds)

    def raw(self, values: Floats) -> Matrix:
        """Return (n, kinds), one-hot."""
        return np.asarray(values[:, None] == np.array(self.kinds), dtype=np.float32)

    def scaled(self, values: Floats) -> Matrix:
        """Return the raw values."""
        return self.raw(values)


@dataclass(frozen=True)
class Flags:
    """Encoder of yes (1) or no (0)."""

    def names(self, field: str) -> tuple[str, ...]:
        """Return one name."""
        return (field,)

    def raw(self, values: Floats) -> Matrix:
        """Return (n, 1) values."""
        return values[:, None].astype(np.float32)

    def scaled(self, values: Floats) -> Matrix:
        """Return the raw values, 0 where unknown."""
        return np.nan_to_num(values, nan=0.0)[:, None].astype(np.float32)
