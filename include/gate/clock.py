"""The type of the clocks that the gate's parts receive."""

from collections.abc import Callable

Clock = Callable[[], float]
"""Returns seconds: monotonic seconds for durations, Unix time for stored times."""
