"""Promotion rules: a pure function that retains the champion if any value is unknown.

A gain counts if the lower bound of a paired bootstrap over users on the same rows exceeds 0; NaN does not count.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

from include.batch.evaluation.confidence import ConfidenceInterval

Outcome = Literal["promoted", "kept"]
ChampionStatus = Literal["none", "comparable", "same", "unreadable", "other_columns", "trained_past"]
"""Status of the champion: there is none; it scored the same rows; it is the challenger itself; its artefact is missing
or corrupt; it needs columns that the table lacks; it was trained on visits that are tested now."""

CHANCE = 0.5


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """The measurements on which a promotion is decided.

    Attributes:
        challenger: kind of model; empty if the run has no challenger, with the reason in `missing`.
        metric: the metric of all gains.
        gains_over_baselines: gain over each baseline, on the same rows.
        gain_over_champion: gain over the champion; None if it was not compared.
        champion_status: whether the champion can be compared, with `champion_detail`.
        calibration_error: of the challenger.
        shuffled_label_check: ROC-AUC of a model fitted on shuffled labels; None if it was not run.
        above_oracle_auc: whether the challenger ranks better than any model can on synthetic data.
        missing: the reason why there is no challenger.
    """

    challenger: str
    metric: str
    gains_over_baselines: dict[str, ConfidenceInterval] = {}
    gain_over_champion: ConfidenceInterval | None = None
    champion_status: ChampionStatus = "none"
    champion_detail: str = ""
    calibration_error: float = float("nan")
    shuffled_label_check: ConfidenceInterval | None = None
    above_oracle_auc: bool = False
    missing: str = ""


class Decision(msgspec.Struct, frozen=True):
    """The outcome with its reasons, for the promotion or against it."""

    outcome: Outcome
    reasons: tuple[str, ...]

    @property
    def is_promotion(self) -> bool:
        """Whether the challenger becomes champion."""
        return self.outcome == "promoted"


def decide(evidence: Evidence, *, max_calibration_error: float) -> Decision:
    """Promote if all rules are met; otherwise keep the champion, with every violated rule as a reason."""
    if not evidence.challenger:
        return Decision("kept", (f"no challenger: {evidence.missing or 'none was trained'}",))
    if evidence.champion_status == "same":
        return Decision("kept", ("the challenger is the champion already",))
    violations = (
        *_leakage_reasons(evidence),
        *_baseline_reasons(evidence),
        *_calibration_reasons(evidence, max_calibration_error),
        *_champion_reasons(evidence),
    )
    return Decision("kept", violations) if violations else Decision("promoted", tuple(_promotion_reasons(evidence)))


def _leakage_reasons(evidence: Evidence) -> Iterator[str]:
    shuffled_label_check = evidence.shuffled_label_check
    if shuffled_label_check is None:
        yield "the shuffled-label check was not run, so the metrics of this run are not trusted"
    elif not shuffled_label_check.contains(CHANCE):
        yield (
            f"the shuffled-label check has ROC-AUC {shuffled_label_check}, not {CHANCE}: "
            "the metrics of this run are not trusted"
        )
    if evidence.above_oracle_auc:
        yield "it ranks better than any model can: a column leaks the outcome"


def _baseline_reasons(evidence: Evidence) -> Iterator[str]:
    if not evidence.gains_over_baselines:
        yield "there is no baseline to compare with"
    for name, interval in sorted(evidence.gains_over_baselines.items()):
        if not interval.low > 0:
            yield f"not better than the baseline {name}: {evidence.metric} {interval}"


def _calibration_reasons(evidence: Evidence, limit: float) -> Iterator[str]:
    if not evidence.calibration_error <= limit:
        yield f"calibration error {evidence.calibration_error:.4f} is not within {limit:g}"


def _champion_reasons(evidence: Evidence) -> Iterator[str]:
    reason = {
        "unreadable": "the champion cannot be loaded, so it cannot be compared",
        "other_columns": "the champion needs columns that the table does not have",
        "trained_past": "the champion was trained on visits that would be tested now",
    }.get(evidence.champion_status)
    if reason is not None:
        yield f"{reason}: {evidence.champion_detail}" if evidence.champion_detail else reason
    elif evidence.champion_status == "comparable":
        interval = evidence.gain_over_champion
        if interval is None:
            yield "the champion was not compared"
        elif not interval.low > 0:
            yield f"not better than the champion: {evidence.metric} {interval}"


def _promotion_reasons(evidence: Evidence) -> Iterator[str]:
    for name, interval in sorted(evidence.gains_over_baselines.items()):
        yield f"better than the baseline {name}: {evidence.metric} {interval}"
    if evidence.gain_over_champion is None:
        yield "there was no champion yet"
    else:
        yield f"better than the champion: {evidence.metric} {evidence.gain_over_champion}"
    yield f"calibration error {evidence.calibration_error:.4f}"
