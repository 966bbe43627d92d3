"""What the drills on Kafka report of their kills and holds."""

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drills import late_commit
from drills.gate_process import log_gate_log_path, log_of
from drills.kafka import Kill, _figures
from drills.origins import History
from drills.visibility import PartialWatch
from include.contracts.settings import LocalSettings, Settings

HISTORY = History(raw=10, lost=0, duplicated=0, rejected=0, aborted=3)


def kill(**changes: Any) -> Kill:
    return Kill(away_s=5.0, broker_start_s=4.0, working_again_s=2.0, is_measured=True, is_in_doubt=True)._replace(
        **changes
    )


def test_figures_of_a_kill_with_nothing_left_report_it_as_unmeasured() -> None:
    figures = _figures([kill(working_again_s=0.0, is_measured=False), kill()], HISTORY)
    assert (figures["unmeasured"], figures["hung"]) == (1, 0)
    assert figures["working_again_each_s"] == [None, 2.0]


def test_figures_of_a_hung_gate_report_it_as_hung() -> None:
    figures = _figures([kill(working_again_s=None), kill(working_again_s=8.5, is_in_doubt=False)], HISTORY)
    assert (figures["unmeasured"], figures["hung"], figures["working_again_s"]) == (0, 1, 8.5)
    assert figures["fault_effects"] == 1


def test_figures_without_a_measured_kill_miss_every_bound() -> None:
    assert _figures([kill(is_measured=False)], HISTORY)["working_again_s"] == float("inf")


class Never:
    """A progress that reaches nothing."""

    def wait(self, reached: Any, limit_s: float) -> None:
        """Time out at once."""


def test_hold_one_in_which_nothing_happens_returns_each_timeout(capsys: pytest.CaptureFixture[str]) -> None:
    backlog = SimpleNamespace(sessions=0, append=lambda _: None)
    proxy = SimpleNamespace(held_commits=[], delivered=0, hold=0)
    watch = SimpleNamespace(comparisons=0)
    missed = late_commit._hold_one(*cast("Any", (backlog, proxy, Never(), watch, random.Random(1))))
    assert missed == [
        "the gate commits before the fault",
        "a commit is held",
        "the held commit is delivered",
        "the gate commits again",
        "the reader compares",
    ]
    assert "not within 60 s: a commit is held" in capsys.readouterr().err


def test_targets_of_late_commit_require_an_effect_of_each_hold() -> None:
    targets = late_commit._targets(20)
    assert targets["fault_effects"] == targets["gate_renewed_producers"] == ("at least", 20.0)


def test_partial_watch_whose_thread_fails_raises_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no number in this id")

    monkeypatch.setattr(PartialWatch, "_read", fail)
    with pytest.raises(ValueError, match="no number in this id"), PartialWatch(Settings()):
        pass


def test_missed_target_names_the_gates_log_beside_the_purged_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(local=LocalSettings(state_dir=tmp_path / "drill"))
    log_gate_log_path(settings, "kafka", '{"met": true}')
    assert capsys.readouterr().err == ""
    log_gate_log_path(settings, "kafka", '{"met": false}')
    log = log_of(settings, "kafka")
    assert str(log) in capsys.readouterr().err
    assert not log.is_relative_to(tmp_path / "drill")
