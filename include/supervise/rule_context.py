"""Input and output of a supervision rule."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeGuard, get_args

import msgspec

from include.contracts.settings import SuperviseSettings
from include.supervise.observation import Observation

Action = Literal["healthy", "wait", "submit", "resume", "page"]
ACTIONS: tuple[Action, ...] = get_args(Action)
MAX_CLOCK_SKEW_S = 5.0
MAX_PLAUSIBLE_AGE_S = 10 * 365 * 86_400.0
MAX_OBSERVATION_GAP_S = 300.0
"""Two observations further apart give no evidence about the time between them."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Thresholds: seconds, records and restarts."""

    restarts: int
    window_s: float
    grace_s: float
    checkpoint_timeout_s: float
    gate_heartbeat_timeout_s: float
    lag_alert_threshold: int
    freshness_alert_s: float
    archive_lag_alert_threshold: int
    archive_stall_timeout_s: float

    @classmethod
    def of(cls, settings: SuperviseSettings) -> "Limits":
        """Return the thresholds of these settings."""
        return cls(
            restarts=settings.max_restarts,
            window_s=settings.restart_window_s,
            grace_s=settings.startup_grace_s,
            checkpoint_timeout_s=settings.checkpoint_timeout_s,
            gate_heartbeat_timeout_s=settings.gate_heartbeat_timeout_s,
            lag_alert_threshold=settings.lag_alert_threshold,
            freshness_alert_s=settings.freshness_alert_s,
            archive_lag_alert_threshold=settings.archive_lag_alert_threshold,
            archive_stall_timeout_s=settings.archive_stall_timeout_s,
        )


class Finding(msgspec.Struct, frozen=True):
    """A rule that matched: what to do, the id of its alert, the reason and the remedy."""

    action: Action
    alert: str
    reason: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class RuleContext:
    """Input of a rule.

    Attributes:
        observation: The newest observation.
        history: Earlier observations, oldest first.
        restarts: Times of the restarts within the window, Unix s.
        limits: Thresholds.
        now: Unix s.
    """

    observation: Observation
    history: Sequence[Observation]
    restarts: Sequence[float]
    limits: Limits
    now: float

    def at(self, past: Observation) -> "RuleContext":
        """Return the context of an earlier observation, without a history."""
        return replace(self, observation=past, history=(), now=past.taken_at)

    def duration(self, holds: Callable[[Observation], bool]) -> float:
        """Return for how many seconds a condition has held in all observations up to now."""
        since = self.now
        for earlier in reversed(self.history):
            if since - earlier.taken_at > MAX_OBSERVATION_GAP_S or not holds(earlier):
                break
            since = earlier.taken_at
        return self.now - since

    def observation_at(self, age_s: float) -> Observation | None:
        """Return the newest observation of at least this age, None if none is recent enough to compare with."""
        oldest_s = age_s + MAX_OBSERVATION_GAP_S
        old = [earlier for earlier in self.history if age_s <= self.now - earlier.taken_at <= oldest_s]
        return old[-1] if old else None

    def since(self, age_s: float) -> list[Observation]:
        """Return the observations of the last `age_s` seconds, oldest first."""
        return [earlier for earlier in self.history if self.now - earlier.taken_at <= age_s]


def is_implausible_age(age_s: float | None) -> TypeGuard[float]:
    """Return whether synchronised clocks cannot produce this age, in s."""
    return age_s is not None and not (math.isfinite(age_s) and -MAX_CLOCK_SKEW_S <= age_s <= MAX_PLAUSIBLE_AGE_S)
