"""Who becomes champion: one pure function, which keeps the champion wherever something is not known.

"Better" is the lower bound of a paired bootstrap over users on the same later visits, never a difference of two
figures; NaN is never better.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

Outcome = Literal["promoted", "kept"]
Standing = Literal["none", "comparable", "same", "unreadable", "other_columns", "trained_past"]
"""What is known of the champion: there is none; it scored the same visits; it is the challenger itself; its artefact
is missing or corrupt; it wants columns that the table lacks; it was trained on visits that are tested now."""

CHANCE = 0.5


class Margin(msgspec.Struct, frozen=True):
    """A figure and its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is known when a challenger stands for champion.

    `challenger` is its kind of model, empty where the run has none and then `missing` says why; `over_baselines` its
    advantage over each baseline and `over_champion` over the champion, by `metric`, on the same visits; `canary` the
    ROC-AUC of a model fitted on shuffled labels, None where it was not measured; `above_ceiling` where it ranks better
    than any model can on data whose truth is known.
    """

    challenger: str
    metric: str
    over_baselines: dict[str, Margin] = {}
    over_champion: Margin | None = None
    standing: Standing = "none"
    standing_detail: str = ""
    calibration_error: float = float("nan")
    canary: Margin | None = None
    above_ceiling: bool = False
    missing: str = ""


class Decision(msgspec.Struct, frozen=True):
    """`reasons` against where the champion is kept, for where the challenger is promoted."""

    outcome: Outcome
    reasons: tuple[str, ...]

    @property
    def promotes(self) -> bool:
        """Whether the challenger becomes champion."""
        return self.outcome == "promoted"


def decide(evidence: Evidence, *, max_calibration_error: float) -> Decision:
    """Promote only where every rule holds; otherwise keep the champion and tell every rule that does not."""
    if not evidence.challenger:
        return Decision("kept", (f"no challenger: {evidence.missing or 'none was trained'}",))
    if evidence.standing == "same":
        return Decision("kept", ("the challenger is the champion already",))
    against = (
        *_believable(evidence),
        *_baselines(evidence),
        *_calibration(evidence, max_calibration_error),
        *_champion(evidence),
    )
    return Decision("kept", against) if against else Decision("promoted", tuple(_grounds(evidence)))


def _believable(evidence: Evidence) -> Iterator[str]:
    canary = evidence.canary
    if canary is None:
        yield "the shuffled-label canary was not run, so no figure of this run is believed"
    elif not canary.low <= CHANCE <= canary.high:
        yield f"the shuffled-label canary has ROC-AUC {canary}, not {CHANCE}: no figure of this run is believed"
    if evidence.above_ceiling:
        yield "it ranks better than any model can: something gives the outcome away"


def _baselines(evidence: Evidence) -> Iterator[str]:
    if not evidence.over_baselines:
        yield "there is no baseline to compare with"
    for name, margin in sorted(evidence.over_baselines.items()):
        if not margin.low > 0:
            yield f"not better than the baseline {name}: {evidence.metric} {margin}"


def _calibration(evidence: Evidence, limit: float) -> Iterator[str]:
    if not evidence.calibration_error <= limit:
        yield f"calibration error {evidence.calibration_error:.4f} is not within {limit:g}"


def _champion(evidence: Evidence) -> Iterator[str]:
    told = {
        "unreadable": "the champion cannot be loaded, so nothing can be said of it",
        "other_columns": "the champion wants columns that the table does not have",
        "trained_past": "the champion was trained on visits that would be tested now",
    }.get(evidence.standing)
    if told is not None:
        yield f"{told}: {evidence.standing_detail}" if evidence.standing_detail else told
    elif evidence.standing == "comparable":
        margin = evidence.over_champion
        if margin is None:
            yield "the champion was not compared with"
        elif not margin.low > 0:
            yield f"not better than the champion: {evidence.metric} {margin}"


def _grounds(evidence: Evidence) -> Iterator[str]:
    for name, margin in sorted(evidence.over_baselines.items()):
        yield f"better than the baseline {name}: {evidence.metric} {margin}"
    if evidence.over_champion is None:
        yield "there was no champion yet"
    else:
        yield f"better than the champion: {evidence.metric} {evidence.over_champion}"
    yield f"calibration error {evidence.calibration_error:.4f}"
