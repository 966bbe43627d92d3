"""Choice of the kind that must reach a target."""

from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.batch import measure
from benchmarks.batch.measure import CVScore, choose_kind
from benchmarks.batch.tasks import Fold, Task
from include.batch import parameters
from include.batch.evaluation.confidence import ConfidenceInterval
from include.batch.parameters import ModelParameters
from include.batch.samples import Samples

EMPTY = Samples(
    np.empty((0, 1), np.float32), np.empty((0, 1), np.float32), np.empty(0, np.bool_), np.empty(0, np.int64), ("a",)
)
TESTED, EARLIER = Fold(EMPTY, EMPTY), Fold(EMPTY, EMPTY)


def _task(target_kind: str | None = None) -> Task:
    return Task("t", "", (TESTED,), (0.7, 0.3), {}, (0.7, 0.3), target_kind=target_kind, origins=(EARLIER,))


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({"simple": 0.70, "middle": 0.75, "rich": 0.80}, "rich"),
        ({"simple": 0.70, "middle": 0.795, "rich": 0.80}, "middle"),
        ({"simple": 0.80, "middle": 0.75, "rich": 0.80}, "simple"),
        ({"simple": 0.789, "middle": 0.80, "rich": 0.70}, "middle"),
    ],
)
def test_choose_kind_prefers_the_simplest_within_one_standard_error(
    monkeypatch: pytest.MonkeyPatch, figures: dict[str, float], expected: str
) -> None:
    def cross_validate(kind: str, folds: Sequence[Fold], models: ModelParameters, seed: int) -> CVScore:
        assert all(fold is EARLIER for fold in folds), "the test may not be looked at"
        value, reach = figures[kind], 0.01 * measure.Z
        roc_auc = ConfidenceInterval(value, value - reach, value + reach)
        return CVScore(kind, roc_auc, roc_auc, 0.0, 0.0, 0.0, 0.0, 0.0)

    monkeypatch.setattr(measure, "cross_validate", cross_validate)
    kind, earlier = choose_kind(_task(), list(figures), parameters.load().models, 1)
    assert kind == expected
    assert {name: one.value for name, one in earlier.items()} == figures


def test_choose_kind_with_a_fixed_target_kind_returns_it() -> None:
    assert choose_kind(_task("rich"), ["simple", "rich"], parameters.load().models, 1) == ("rich", {})
