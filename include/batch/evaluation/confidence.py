"""The one type for a measured value with its confidence interval."""

from msgspec import Struct


class ConfidenceInterval(Struct, frozen=True):
    """A point estimate and the bounds of its confidence interval; for a difference, of new minus old."""

    value: float
    low: float
    high: float

    def contains(self, value: float) -> bool:
        """Return whether a value lies within the bounds; False if a bound is NaN."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"
