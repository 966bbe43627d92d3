"""The stream lost on a real cluster: one supervisor gets it back, from what can be restored, within its budget."""

import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import create_autospec

import pytest

from include.clients.airflow import AirflowApi
from include.clients.elasticsearch import connect
from include.clients.flink import FlinkRest
from include.contracts.errors import TerminalError, TransientError
from include.contracts.settings import Settings
from include.serving.templates import ensure_templates
from include.supervise import act
from include.supervise.act import look, supervise_once
from include.supervise.journal import Entry, Journal, Turn, acting
from include.supervise.observation import Observation
from include.supervise.stream_job import cancel, restore_points, running_job, submit
from local.demo.fail_fast import StreamVerdicts
from local.servers.flink import probe_slots
from local.stream_job import job_program, state_folder, wait_started
from tests.polling import eventually

pytestmark = pytest.mark.usefixtures("no_stream")

PATIENCE_S = 120.0
WINDOW_S = 900.0


def templates(settings: Settings) -> Callable[[], None]:
    def prepare() -> None:
        with connect(settings) as client:
            ensure_templates(client, settings)

    return prepare


def once(settings: Settings, prepare: Callable[[], None]) -> Entry:
    """One full round of supervision."""
    return supervise_once(settings, job_program(), state_folder(settings), prepare=prepare, say=lambda _: None)


def starts(settings: Settings) -> int:
    with Journal(settings) as kept:
        return len(kept.restarts_since(time.time() - WINDOW_S))


def jobs(settings: Settings) -> int:
    """All jobs the cluster has ever had."""
    with FlinkRest(settings) as flink:
        return len(flink.jobs())


def lose_job(settings: Settings) -> None:
    """Cancel the job, and wait until its slots are offered again: a busy cluster may have lost sight of them."""
    with FlinkRest(settings) as flink:
        cancel(flink, PATIENCE_S)
    eventually(lambda: probe_slots(settings) is None, PATIENCE_S)


class Late:
    """Ids as the journal gives them, to one who looked before another submission landed."""

    def __init__(self, turn: Turn, meanwhile: Callable[[], None]) -> None:
        self.job_id, self.spend, self.extend = turn.job_id, turn.spend, meanwhile


def test_a_submission_that_lands_after_its_time_out_is_the_only_job(
    journal: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    templates(journal)()
    known = jobs(journal)
    with acting(journal) as turn, FlinkRest(journal) as flink:
        assert turn is not None

        def lose_answer() -> None:
            with monkeypatch.context() as impatient, pytest.raises(TransientError, match="ReadTimeout"):
                impatient.setattr("include.clients.flink.RUN_TIMEOUT_S", 0.5)
                submit(flink, job_program(), None, turn)
            eventually(lambda: running_job(flink), PATIENCE_S)

        # The second has seen that there is no job when the first one lands; only Flink can refuse it.
        with pytest.raises(TerminalError, match="is there already"):
            submit(flink, job_program(), None, Late(turn, lose_answer))
    assert jobs(journal) == known + 1
    lose_job(journal)


def test_of_two_supervisors_at_once_exactly_one_submits(journal: Settings) -> None:
    known = jobs(journal)
    stale = look(journal, state_folder(journal))
    assert (stale.decision.action, stale.decision.alarm) == ("submit", "stream.no_job"), stale
    others: list[Entry] = []

    def other() -> None:
        raise AssertionError("two supervisors act at once")

    def prepare() -> None:
        # The first has the lock and has started nothing yet: a whole round of a second one fits in here.
        with ThreadPoolExecutor(1) as elsewhere:
            others.append(elsewhere.submit(once, journal, other).result(PATIENCE_S))
        templates(journal)()

    first = once(journal, prepare)
    assert first.outcome is not None
    assert "runs, started without a state" in first.outcome, first
    assert [(entry.decision.action, entry.decision.reason) for entry in others] == [
        ("wait", "another supervisor has the lock")
    ]
    assert (starts(journal), jobs(journal)) == (1, known + 1)


def test_a_decision_that_is_no_longer_true_is_not_acted_upon(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, begun = jobs(settings), starts(settings)
    with Journal(settings) as kept:
        stale = next(entry for entry in kept.last(10) if entry.decision.acts)
    taken: list[Entry] = []

    def first_stale(settings: Settings, state: Path, remembered: Sequence[Observation] = ()) -> Entry:
        taken.append(look(settings, state, remembered) if taken else stale)
        return taken[-1]

    monkeypatch.setattr(act, "look", first_stale)
    entry = once(settings, templates(settings))
    assert not entry.decision.acts
    assert len(taken) == 2
    assert (jobs(settings), starts(settings)) == (known, begun)


def test_from_a_broken_checkpoint_it_goes_back_to_the_older_one(settings: Settings) -> None:
    state = state_folder(settings)
    eventually(lambda: len(restore_points(state)) >= 2, PATIENCE_S)
    lose_job(settings)
    newest, older = restore_points(state)[:2]
    (newest.path / "_metadata").write_bytes(b"broken")
    entry = once(settings, templates(settings))
    assert (entry.decision.action, entry.decision.alarm) == ("resume", "stream.no_job"), entry
    assert entry.outcome is not None
    assert f"runs, started from {older.path}; older than what could be had: from {newest.path}: " in entry.outcome
    assert starts(settings) == 2
    with FlinkRest(settings) as flink:
        running = running_job(flink)
        assert running is not None
        assert flink.checkpoints(running.jid).counts.restored == 1


def test_a_stream_that_was_started_often_enough_is_left_to_people(settings: Settings) -> None:
    lose_job(settings)
    known = jobs(settings)
    entry = once(settings.replace(supervise_restarts=2), templates(settings))
    assert (entry.decision.action, entry.decision.alarm) == ("page", "stream.budget_spent"), entry
    assert (jobs(settings), starts(settings)) == (known, 2)


def test_where_no_checkpoint_can_be_restored_nothing_is_started_anew(settings: Settings) -> None:
    newest, *others = restore_points(state_folder(settings))
    for point in others:
        shutil.rmtree(point.path)
    (newest.path / "_metadata").write_bytes(b"broken")
    entry = once(settings, templates(settings))
    assert (entry.decision.action, entry.decision.alarm) == ("page", "stream.start_failed"), entry
    assert str(newest.path) in entry.decision.reason
    with FlinkRest(settings) as flink:
        assert running_job(flink) is None


def test_wait_started_after_a_terminal_verdict_ends_at_once_with_its_reason(settings: Settings) -> None:
    # The verdict is that of the test before; Airflow is not asked once the supervisor has given one.
    airflow = create_autospec(AirflowApi)
    verdicts = StreamVerdicts(settings, airflow, "supervise_stream", time.time() - WINDOW_S)
    with pytest.raises(TerminalError, match=r"start of the stream failed: stream\.start_failed: from "):
        wait_started(settings, PATIENCE_S, verdicts.check)
    airflow.runs.assert_not_called()
