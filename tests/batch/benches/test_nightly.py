"""What two runs of a night are compared by."""

from benchmarks.batch.nightly import result_of

TOLD = {"models": [{"roc_auc": 0.8, "seconds": 1.5}], "is_repeat": False, "digest": "a"}


def test_how_long_a_run_took_is_no_result() -> None:
    slower = {"models": [{"roc_auc": 0.8, "seconds": 9.0}], "is_repeat": True, "digest": "a"}

    assert result_of(TOLD) == result_of(slower)


def test_any_other_difference_counts() -> None:
    assert result_of(TOLD) != result_of({**TOLD, "models": [{"roc_auc": 0.8000001, "seconds": 1.5}]})
    assert result_of(TOLD) != result_of({**TOLD, "digest": "b"})
