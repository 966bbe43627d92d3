"""Benches say honestly whether a target was met."""

import json
from pathlib import Path

import pytest

from benchmarks.load import rate
from benchmarks.result import report
from benchmarks.usage import Usage, cpu_us_per_session


def reported(folder: Path, **figures: float) -> dict[str, object]:
    targets = {"rate": ("at least", 100.0), "delay": ("at most", 3.0)}
    line = report("some", figures=figures, targets=targets, seed=7, config={"n": 1}, folder=folder)
    results: dict[str, object] = json.loads(line)
    assert json.loads((folder / "some.json").read_text()) == results
    return results


@pytest.mark.parametrize(
    ("rate_", "delay", "met"), [(100.0, 3.0, True), (99.9, 3.0, False), (100.0, 3.1, False), (float("nan"), 1.0, False)]
)
def test_a_target_is_met_or_not(tmp_path: Path, rate_: float, delay: float, met: bool) -> None:
    result = reported(tmp_path, rate=rate_, delay=delay)
    assert result["met"] is met
    assert result["targets"] == {"rate": "at least 100", "delay": "at most 3"}
    assert {"machine", "versions", "seed", "config", "figures", "name"} <= set(result)


def test_a_target_without_a_figure_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        reported(tmp_path, rate=100.0)


def test_the_rate_leaves_the_cold_start_out() -> None:
    assert rate([(0.0, 1), (10.0, 100), (11.0, 600), (12.0, 1_000)]) == 450.0


def test_cpu_is_told_by_session_and_in_all() -> None:
    before = {"kafka": Usage(1.0, 10.0)}
    after = {"kafka": Usage(3.0, 10.0), "gate": Usage(1.0, 10.0)}
    assert cpu_us_per_session(before, after, 1_000_000) == {"kafka": 2.0, "gate": 1.0, "all": 3.0}
