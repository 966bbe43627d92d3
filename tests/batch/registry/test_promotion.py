from typing import Any

import msgspec
import pytest

from include.batch.evaluation.confidence import ConfidenceInterval
from include.batch.registry.promotion import Evidence, decide

LIMIT = 0.05
BETTER, EQUAL, WORSE = (
    ConfidenceInterval(0.05, 0.01, 0.09),
    ConfidenceInterval(0.01, -0.02, 0.04),
    ConfidenceInterval(-0.05, -0.09, -0.01),
)
NAN_INTERVAL = ConfidenceInterval(float("nan"), float("nan"), float("nan"))
GOOD = Evidence(
    challenger="boost",
    metric="pr_auc",
    gains_over_baselines={"majority": BETTER, "one_rule": BETTER},
    gain_over_champion=BETTER,
    champion_status="comparable",
    calibration_error=0.01,
    shuffled_label_check=ConfidenceInterval(0.51, 0.47, 0.55),
)

CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("better than champion and baselines", {}, "promoted", "better than the champion"),
    ("no champion yet", {"champion_status": "none", "gain_over_champion": None}, "promoted", "no champion yet"),
    (
        "no champion, baseline not beaten",
        {"champion_status": "none", "gain_over_champion": None, "gains_over_baselines": {"one_rule": EQUAL}},
        "kept",
        "baseline one_rule",
    ),
    ("as good as the champion", {"gain_over_champion": EQUAL}, "kept", "not better than the champion"),
    ("worse than the champion", {"gain_over_champion": WORSE}, "kept", "not better than the champion"),
    (
        "lower bound exactly 0",
        {"gain_over_champion": ConfidenceInterval(0.02, 0.0, 0.04)},
        "kept",
        "not better than the champion",
    ),
    ("bounds unknown", {"gain_over_champion": NAN_INTERVAL}, "kept", "not better than the champion"),
    (
        "one of two baselines beats it",
        {"gains_over_baselines": {"majority": BETTER, "one_rule": WORSE}},
        "kept",
        "one_rule",
    ),
    ("no baseline", {"gains_over_baselines": {}}, "kept", "no baseline"),
    ("ill calibrated", {"calibration_error": 0.0501}, "kept", "calibration error"),
    ("calibration on the limit", {"calibration_error": LIMIT}, "promoted", "better"),
    ("calibration unknown", {"calibration_error": float("nan")}, "kept", "calibration error"),
    (
        "shuffled-label check above chance",
        {"shuffled_label_check": ConfidenceInterval(0.6, 0.55, 0.65)},
        "kept",
        "shuffled-label check",
    ),
    (
        "shuffled-label check below chance",
        {"shuffled_label_check": ConfidenceInterval(0.4, 0.35, 0.45)},
        "kept",
        "shuffled-label check",
    ),
    ("shuffled-label check not run", {"shuffled_label_check": None}, "kept", "check was not run"),
    ("shuffled-label check is NaN", {"shuffled_label_check": NAN_INTERVAL}, "kept", "shuffled-label check"),
    ("better than the oracle", {"above_oracle_auc": True}, "kept", "better than any model can"),
    (
        "champion trained past the test's begin",
        {"champion_status": "trained_past", "gain_over_champion": None},
        "kept",
        "trained",
    ),
    (
        "champion corrupt",
        {"champion_status": "unreadable", "champion_detail": "network.npz", "gain_over_champion": None},
        "kept",
        "network.npz",
    ),
    ("champion of other columns", {"champion_status": "other_columns", "gain_over_champion": None}, "kept", "columns"),
    ("champion there, not compared", {"gain_over_champion": None}, "kept", "was not compared"),
    ("challenger is the champion", {"champion_status": "same", "gain_over_champion": None}, "kept", "already"),
    ("budget spent", {"challenger": "", "missing": "the privacy budget is spent"}, "kept", "budget is spent"),
]


@pytest.mark.parametrize(("change", "outcome", "reason"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_decide_promotes_only_if_all_rules_are_met(change: dict[str, Any], outcome: str, reason: str) -> None:
    decision = decide(msgspec.structs.replace(GOOD, **change), max_calibration_error=LIMIT)
    assert decision.outcome == outcome
    assert decision.is_promotion is (outcome == "promoted")
    assert any(reason in given for given in decision.reasons), decision.reasons


def test_decide_lists_every_violated_rule() -> None:
    evidence = msgspec.structs.replace(
        GOOD,
        gain_over_champion=EQUAL,
        gains_over_baselines={"one_rule": EQUAL},
        calibration_error=0.2,
        shuffled_label_check=None,
    )
    assert len(decide(evidence, max_calibration_error=LIMIT).reasons) == 4
