"""Duty cycle of the archive's DAG, read from the DAG file."""

from pathlib import Path

import pytest

from benchmarks.archive import duty_cycle
from include.contracts.collections import LOAD_DEADLINE_S
from local.project import ROOT

DAG = 'with DAG("archive_sessions", schedule="{}"):\n    pass\n'


def test_duty_cycle_of_the_projects_dag_is_deadline_divided_by_interval() -> None:
    assert duty_cycle(ROOT / "dags") == LOAD_DEADLINE_S / 300 == 0.8


def test_duty_cycle_follows_the_schedule(tmp_path: Path) -> None:
    (tmp_path / "archive_sessions.py").write_text(DAG.format("*/10 * * * *"))
    assert duty_cycle(tmp_path) == LOAD_DEADLINE_S / 600
    (tmp_path / "archive_sessions.py").write_text(DAG.format("*/2 * * * *"))
    assert duty_cycle(tmp_path) == 1.0


def test_duty_cycle_of_another_schedule_raises(tmp_path: Path) -> None:
    (tmp_path / "archive_sessions.py").write_text(DAG.format("0 3 * * *"))
    with pytest.raises(ValueError, match="is not a number of minutes"):
        duty_cycle(tmp_path)
