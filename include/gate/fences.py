"""How often a gate was fenced off lately although it holds its lease."""

WINDOW_S = 60.0
MAX_FENCES = 5


class FenceCounter:
    """Tells late requests of the gate's own, which come now and then, from a second process, which comes back."""

    def __init__(self) -> None:
        self._times: list[float] = []

    def is_too_often(self, now: float) -> bool:
        """Record a fence at `now`, in monotonic seconds; return whether it is the last to bear within the window."""
        self._times = [time for time in self._times if time > now - WINDOW_S] + [now]
        return len(self._times) >= MAX_FENCES
