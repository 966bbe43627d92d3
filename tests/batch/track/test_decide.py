from typing import Any

import msgspec
import pytest

from include.batch.track.decide import Evidence, Margin, decide

LIMIT = 0.05
BETTER, EQUAL, WORSE = Margin(0.05, 0.01, 0.09), Margin(0.01, -0.02, 0.04), Margin(-0.05, -0.09, -0.01)
NOTHING = Margin(float("nan"), float("nan"), float("nan"))
GOOD = Evidence(
    challenger="boost",
    metric="pr_auc",
    over_baselines={"majority": BETTER, "one_rule": BETTER},
    over_champion=BETTER,
    standing="comparable",
    calibration_error=0.01,
    canary=Margin(0.51, 0.47, 0.55),
)

CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("better than champion and baselines", {}, "promoted", "better than the champion"),
    ("no champion yet", {"standing": "none", "over_champion": None}, "promoted", "no champion yet"),
    ("no champion, baseline not beaten",
     {"standing": "none", "over_champion": None, "over_baselines": {"one_rule": EQUAL}}, "kept", "baseline one_rule"),
    ("as good as the champion", {"over_champion": EQUAL}, "kept", "not better than the champion"),
    ("worse than the champion", {"over_champion": WORSE}, "kept", "not better than the champion"),
    ("lower bound exactly 0", {"over_champion": Margin(0.02, 0.0, 0.04)}, "kept", "not better than the champion"),
    ("bounds unknown", {"over_champion": NOTHING}, "kept", "not better than the champion"),
    ("one of two baselines beats it", {"over_baselines": {"majority": BETTER, "one_rule": WORSE}}, "kept", "one_rule"),
    ("no baseline", {"over_baselines": {}}, "kept", "no baseline"),
    ("ill calibrated", {"calibration_error": 0.0501}, "kept", "calibration error"),
    ("calibration on the limit", {"calibration_error": LIMIT}, "promoted", "better"),
    ("calibration unknown", {"calibration_error": float("nan")}, "kept", "calibration error"),
    ("canary sings", {"canary": Margin(0.6, 0.55, 0.65)}, "kept", "canary"),
    ("canary below chance", {"canary": Margin(0.4, 0.35, 0.45)}, "kept", "canary"),
    ("canary not run", {"canary": None}, "kept", "canary was not run"),
    ("canary unknown", {"canary": NOTHING}, "kept", "canary"),
    ("better than the truth", {"above_ceiling": True}, "kept", "better than any model can"),
    ("champion trained past the test's begin", {"standing": "trained_past", "over_champion": None}, "kept", "trained"),
    ("champion corrupt",
     {"standing": "unreadable", "standing_detail": "network.npz", "over_champion": None}, "kept", "network.npz"),
    ("champion of other columns", {"standing": "other_columns", "over_champion": None}, "kept", "columns"),
    ("champion there, not compared", {"over_champion": None}, "kept", "was not compared"),
    ("challenger is the champion", {"standing": "same", "over_champion": None}, "kept", "already"),
    ("budget spent", {"challenger": "", "missing": "the privacy budget is spent"}, "kept", "budget is spent"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "outcome", "reason"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_champion_moves_only_where_every_rule_holds(change: dict[str, Any], outcome: str, reason: str) -> None:
    decision = decide(msgspec.structs.replace(GOOD, **change), max_calibration_error=LIMIT)
    assert decision.outcome == outcome
    assert decision.promotes is (outcome == "promoted")
    assert any(reason in told for told in decision.reasons), decision.reasons


def test_every_rule_that_does_not_hold_is_told() -> None:
    evidence = msgspec.structs.replace(
        GOOD, over_champion=EQUAL, over_baselines={"one_rule": EQUAL}, calibration_error=0.2, canary=None
    )
    assert len(decide(evidence, max_calibration_error=LIMIT).reasons) == 4
