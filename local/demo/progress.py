"""Progress of a long command: the current step and the estimated time left."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.layout import write_text

MAX_DURATIONS = 64
"""Maximum number of stored durations."""
MINUTE_S = 60.0
GRACE_S = 10.0
OVERDUE = "longer than usual"
"""Shown instead of the ETA once a step exceeds its estimate."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step. `size` determines its duration; `seconds` is the estimate without a recorded duration."""

    name: str
    title: str
    seconds: float
    size: str = ""

    @property
    def key(self) -> str:
        """Return the key of its stored duration."""
        return f"{self.name} {self.size}".strip()


class Steps:
    """Reports lines with the number of their step and the time left; call the object to report a line."""

    def __init__(
        self,
        plan: Sequence[Step],
        on_progress: Callable[[str], None],
        existing: Mapping[str, float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = tuple(plan)
        self._on_progress = on_progress
        self._durations = existing or {}
        self._clock = clock
        self._index = -1
        self._began = self._started = clock()
        self.durations: dict[str, float] = {}
        """Seconds of each completed step, by its key."""

    def __call__(self, line: str) -> None:
        """Report a line of the current step."""
        number = f"{self._index + 1}/{len(self._plan)}"
        left = OVERDUE if self.overdue else f"{format_duration(self.left)} left"
        self._on_progress(f"{self.seconds:6.1f} s  {number}  {left:<17}  {line}")

    def begin(self, name: str) -> None:
        """End the current step and begin a later one by name; report its title."""
        self._close()
        names = [step.name for step in self._plan]
        self._index = names.index(name, self._index + 1)
        self(self._plan[self._index].title)

    def end(self) -> None:
        """End the last step."""
        self._close()
        self._index = len(self._plan)

    @property
    def left(self) -> float:
        """Return the estimated seconds until the end; a step that exceeds its estimate counts as almost done."""
        if self._index >= len(self._plan):
            return 0.0
        later = sum(self._guess(step) for step in self._plan[self._index + 1 :])
        if self._index < 0:
            return later
        return later + max(0.0, self._guess(self._plan[self._index]) - (self._clock() - self._began))

    @property
    def overdue(self) -> bool:
        """Return whether the current step exceeds its estimate."""
        at_hand = 0 <= self._index < len(self._plan)
        return at_hand and self._clock() - self._began > self._guess(self._plan[self._index]) + GRACE_S

    @property
    def seconds(self) -> float:
        """Return the seconds since the start."""
        return self._clock() - self._started

    def _guess(self, step: Step) -> float:
        return self._durations.get(step.key, step.seconds)

    def _close(self) -> None:
        now = self._clock()
        if 0 <= self._index < len(self._plan):
            self.durations[self._plan[self._index].key] = now - self._began
        self._began = now


def format_duration(seconds: float) -> str:
    """Format a duration: in tens of seconds, from two minutes on in minutes."""
    if seconds < 10:  # noqa: PLR2004 - the width of a guess
        return "some seconds"
    if seconds < 2 * MINUTE_S:
        return f"about {round(seconds / 10) * 10} s"
    return f"about {round(seconds / MINUTE_S)} min"


def load_durations(path: Path) -> dict[str, float]:
    """Return the durations that `save_durations` stored; empty if the file is missing or invalid."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): float(seconds) for key, seconds in result.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def save_durations(path: Path, durations: Mapping[str, float]) -> None:
    """Merge durations into the file; the newest of each key, at most `MAX_DURATIONS`."""
    retained = {key: seconds for key, seconds in load_durations(path).items() if key not in durations}
    retained |= {key: round(seconds, 1) for key, seconds in durations.items()}
    write_text(path, json.dumps(dict(list(retained.items())[-MAX_DURATIONS:]), indent=2) + "\n")
