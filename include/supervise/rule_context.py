"""What a rule of supervision gets to see, and what it may answer."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal, TypeGuard, get_args

import msgspec

from include.contracts.settings import Settings
from include.supervise.observation import Away, Observation

Action = Literal["healthy", "wait", "submit", "resume", "page"]
ACTIONS: tuple[Action, ...] = get_args(Action)
SKEW_S = 5.0
ABSURD_S = 10 * 365 * 86_400.0
# Observations further apart than this say nothing about the time between them.
GAP_S = 300.0
AUTOMATIC = "no action needed, the supervisor repairs this"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Thresholds: seconds, records and restarts."""

    restarts: int
    window_s: float
    grace_s: float
    checkpoint_stalled_s: float
    gate_silent_s: float
    lag_high: int
    canary_stale_s: float
    archive_lag_alert_threshold: int
    archive_timeout_s: float

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """The thresholds as set."""
        return cls(
            restarts=settings.supervise_restarts,
            window_s=settings.supervise_window_s,
            grace_s=settings.supervise_grace_s,
            checkpoint_stalled_s=settings.checkpoint_stalled_s,
            gate_silent_s=settings.gate_silent_s,
            lag_high=settings.lag_high,
            canary_stale_s=settings.canary_stale_s,
            archive_lag_alert_threshold=settings.archive_lag_alert_threshold,
            archive_timeout_s=settings.archive_timeout_s,
        )


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong: what to do, which alarm it is (`stage.what`), why, and what a person can do."""

    action: Action
    alarm: str
    reason: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class View:
    """What a rule looks at. `history` holds only the past, oldest first; `restarts` those within the window."""

    seen: Observation
    history: Sequence[Observation]
    restarts: Sequence[float]
    limits: Limits
    now: float

    def lasted(self, holds: Callable[[Observation], bool]) -> float:
        """For how many seconds the observations up to now have said so without a break."""
        since = self.now
        for earlier in reversed(self.history):
            if since - earlier.taken_at > GAP_S or not holds(earlier):
                break
            since = earlier.taken_at
        return self.now - since

    def before(self, age_s: float) -> Observation | None:
        """The newest observation that is at least so old, None without one that still tells something."""
        old = [earlier for earlier in self.history if age_s <= self.now - earlier.taken_at <= age_s + GAP_S]
        return old[-1] if old else None

    def since(self, age_s: float) -> list[Observation]:
        """The observations of the last seconds before now, oldest first."""
        return [earlier for earlier in self.history if self.now - earlier.taken_at <= age_s]

    def patiently(self, alarm: str, reason: str, remedy: str, holds: Callable[[Observation], bool]) -> Finding:
        """Wait, and page once it has lasted for the grace."""
        lasted = self.lasted(holds)
        action: Action = "page" if lasted >= self.limits.grace_s else "wait"
        return Finding(action, alarm, f"{reason}, for {lasted:.0f} s" if lasted else reason, remedy)

    def start(self, alarm: str, reason: str) -> Finding:
        """Start the job: from its newest restore point, anew where there never was one; page when it must not."""
        restore, spent = self.seen.restore, len(self.restarts)
        if isinstance(restore, Away):
            return Finding(
                "page",
                "stream.restore_unknown",
                f"{reason}; checkpoints cannot be read: {restore.reason}",
                "start Flink (./showroom up) or make its data folder readable, then ./showroom stream resume",
            )
        if spent >= self.limits.restarts:
            return Finding(
                "page",
                "stream.budget_spent",
                f"{reason}; {spent} starts within {self.limits.window_s:g} s did not help",
                "./showroom stream status and ./showroom logs flink-taskmanager; repair, then ./showroom stream resume",
            )
        if restore.path is None:
            return Finding("submit", alarm, f"{reason}; there is no checkpoint yet", f"{AUTOMATIC}: it submits the job")
        # The outcome names the whole path.
        newest = PurePath(restore.path).name
        return Finding(
            "resume", alarm, f"{reason}; the newest checkpoint is {newest}", f"{AUTOMATIC}: it resumes the job"
        )


Rule = Callable[[View], Finding | None]


def absurd(age_s: float | None) -> TypeGuard[float]:
    """Whether no healthy clocks can give this age, in s."""
    return age_s is not None and not (math.isfinite(age_s) and -SKEW_S <= age_s <= ABSURD_S)
