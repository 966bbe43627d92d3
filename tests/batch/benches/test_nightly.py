"""Comparison of two nightly runs."""

from benchmarks.batch.nightly import result_of

SUMMARY = {"models": [{"roc_auc": 0.8, "seconds": 1.5}], "is_repeat": False, "digest": "a"}


def test_result_of_ignores_durations() -> None:
    slower = {"models": [{"roc_auc": 0.8, "seconds": 9.0}], "is_repeat": True, "digest": "a"}

    assert result_of(SUMMARY) == result_of(slower)


def test_result_of_keeps_other_differences() -> None:
    assert result_of(SUMMARY) != result_of({**SUMMARY, "models": [{"roc_auc": 0.8000001, "seconds": 1.5}]})
    assert result_of(SUMMARY) != result_of({**SUMMARY, "digest": "b"})
