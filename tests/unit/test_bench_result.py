"""Results of benches: targets, rates and CPU time."""

import json
from pathlib import Path

import pytest

from benchmarks.load import measure_rate
from benchmarks.result import report
from benchmarks.usage import Usage, cpu_us_per_session


def reported(folder: Path, **figures: float) -> dict[str, object]:
    targets = {"rate": ("at least", 100.0), "delay": ("at most", 3.0)}
    line = report("some", figures=figures, targets=targets, seed=7, config={"n": 1}, folder=folder)
    results: dict[str, object] = json.loads(line)
    assert json.loads((folder / "some.json").read_text()) == results
    return results


@pytest.mark.parametrize(
    ("rate", "delay", "met"), [(100.0, 3.0, True), (99.9, 3.0, False), (100.0, 3.1, False), (float("nan"), 1.0, False)]
)
def test_report_compares_each_figure_with_its_target(tmp_path: Path, rate: float, delay: float, met: bool) -> None:
    result = reported(tmp_path, rate=rate, delay=delay)
    assert result["met"] is met
    assert result["targets"] == {"rate": "at least 100", "delay": "at most 3"}
    assert {"machine", "versions", "seed", "config", "figures", "name"} <= set(result)


def test_report_of_a_target_without_a_figure_raises(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        reported(tmp_path, rate=100.0)


def test_measure_rate_excludes_the_cold_start() -> None:
    assert measure_rate([(0.0, 1), (10.0, 100), (11.0, 600), (12.0, 1_000)]) == 450.0


def test_cpu_us_per_session_has_each_program_and_the_sum() -> None:
    before = {"kafka": Usage(1.0, 10.0)}
    after = {"kafka": Usage(3.0, 10.0), "gate": Usage(1.0, 10.0)}
    assert cpu_us_per_session(before, after, 1_000_000) == {"kafka": 2.0, "gate": 1.0, "all": 3.0}
