"""Count how often other producers fenced a gate that has its lease."""

WINDOW_S = 60.0
MAX_FENCES = 5


class FenceCounter:
    """Distinguishes the gate's own late requests, which are rare, from a second process, which fences repeatedly."""

    def __init__(self) -> None:
        self._times: list[float] = []

    def is_too_often(self, now: float) -> bool:
        """Record a fence at `now` (monotonic s); return whether the limit within the window is reached."""
        self._times = [time for time in self._times if time > now - WINDOW_S] + [now]
        return len(self._times) >= MAX_FENCES
