"""Metrics and messages of the Kafka drills."""

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drills import late_commit
from drills.gate_process import gate_log_path, log_gate_log_path
from drills.kafka import Kill, _summarize_kills
from drills.origins import History
from drills.visibility import PartialTransactionMonitor
from include.contracts.settings import LocalSettings, Settings

HISTORY = History(raw=10, lost=0, duplicated=0, rejected=0, aborted=3)


def kill(**changes: Any) -> Kill:
    return Kill(downtime_s=5.0, broker_start_s=4.0, recovery_s=2.0, is_measured=True, is_in_doubt=True)._replace(
        **changes
    )


def test_summarize_kills_without_remaining_sessions_counts_unmeasured() -> None:
    figures = _summarize_kills([kill(recovery_s=0.0, is_measured=False), kill()], HISTORY)
    assert (figures["unmeasured"], figures["hung"]) == (1, 0)
    assert figures["working_again_each_s"] == [None, 2.0]


def test_summarize_kills_of_a_hung_gate_counts_hung() -> None:
    figures = _summarize_kills([kill(recovery_s=None), kill(recovery_s=8.5, is_in_doubt=False)], HISTORY)
    assert (figures["unmeasured"], figures["hung"], figures["working_again_s"]) == (0, 1, 8.5)
    assert figures["fault_effects"] == 1


def test_summarize_kills_without_a_measured_kill_has_infinite_recovery() -> None:
    assert _summarize_kills([kill(is_measured=False)], HISTORY)["working_again_s"] == float("inf")


class StalledProgress:
    """Progress that never satisfies a condition."""

    def wait(self, condition: Any, timeout_s: float) -> None:
        """Time out immediately."""


def test_delay_commit_without_progress_returns_each_missed_event(capsys: pytest.CaptureFixture[str]) -> None:
    backlog = SimpleNamespace(sessions=0, append=lambda _: None)
    proxy = SimpleNamespace(delayed_commits=[], delivered_count=0, commits_to_delay=0)
    watch = SimpleNamespace(comparisons=0)
    missed_events = late_commit._delay_commit(
        *cast("Any", (backlog, proxy, StalledProgress(), watch, random.Random(1)))
    )
    assert missed_events == [
        "the gate commits before the fault",
        "a commit is delayed",
        "the delayed commit is delivered",
        "the gate commits again",
        "the reader compares",
    ]
    assert "not within 60 s: a commit is delayed" in capsys.readouterr().err


def test_targets_of_late_commit_require_an_effect_of_each_delay() -> None:
    targets = late_commit._targets(20)
    assert targets["fault_effects"] == targets["gate_renewed_producers"] == ("at least", 20.0)


def test_partial_transaction_monitor_with_a_failed_thread_raises_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no number in this id")

    monkeypatch.setattr(PartialTransactionMonitor, "_read", fail)
    with pytest.raises(ValueError, match="no number in this id"), PartialTransactionMonitor(Settings().kafka):
        pass


def test_log_gate_log_path_of_a_missed_target_is_outside_the_purged_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(local=LocalSettings(state_dir=tmp_path / "drill"))
    log_gate_log_path(settings.local, "kafka", '{"met": true}')
    assert capsys.readouterr().err == ""
    log_gate_log_path(settings.local, "kafka", '{"met": false}')
    log = gate_log_path(settings.local, "kafka")
    assert str(log) in capsys.readouterr().err
    assert not log.is_relative_to(tmp_path / "drill")
