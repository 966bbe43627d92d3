"""One round of supervision: observe, decide, act under the one-supervisor lock, record, alert."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from include.clients.flink import FlinkRest
from include.contracts.errors import ShowroomError, TransientError
from include.contracts.settings import Settings
from include.supervise.alarms import ALARMS, judged
from include.supervise.alert import Alarms
from include.supervise.heartbeat import send_heartbeat
from include.supervise.journal import Entry, Journal, Turn, acting
from include.supervise.observation import Observation
from include.supervise.policy import Action, Decision, Limits, decide
from include.supervise.probes import observe
from include.supervise.start import start_stream
from include.supervise.stream_job import JobProgram

HISTORY = 120

Say = Callable[[str], None]


def look(settings: Settings, state: Path, remembered: Sequence[Observation] = ()) -> Entry:
    """Observe and decide without acting, recording or alerting.

    `remembered`: observations the caller made that the journal need not hold. Never raises for a server that is away.
    """
    try:
        with Journal(settings) as journal:
            history = [*(entry.observation for entry in reversed(journal.last(HISTORY))), *remembered]
            restarts = journal.restarts_since(time.time() - settings.supervise_window_s)
    except TransientError as error:
        return _without_journal(settings, state, remembered, error)
    history.sort(key=lambda past: past.taken_at)
    seen = observe(settings, history[-1] if history else None, state=state)
    now = time.time()
    return Entry(now, seen, decide(seen, history, restarts, Limits.of(settings), now))


def supervise_once(
    settings: Settings,
    program: JobProgram,
    state: Path,
    *,
    prepare: Callable[[], None],
    say: Say,
    remembered: Sequence[Observation] = (),
) -> Entry:
    """Look once and do what is to be done; returns what was seen, decided and done.

    `state` is Flink's data folder with checkpoints and savepoints. `prepare` makes the index templates before a
    job starts. Never raises for a server that is away.
    """
    entry = look(settings, state, remembered)
    if entry.decision.acts:
        entry = _Round(settings, program, state, prepare, say, remembered).act(entry)
    say(f"{entry.decision.action}: {entry.decision.alarm}: {entry.decision.reason}")
    if entry.outcome:
        say(entry.outcome)
    try:
        with Journal(settings) as journal:
            journal.record(entry)
    except TransientError as error:
        say(f"not recorded: {error}")
    alert(settings, entry)
    send_heartbeat(settings)
    return entry


def alert(settings: Settings, entry: Entry) -> None:
    """Raise the alarms of a decision that pages, and clear those of the supervisor that are over.

    An alarm whose source is unavailable is not resolved: its state is unknown.
    """
    wrong = {finding.alarm for finding in entry.decision.findings}
    with Alarms(settings) as alarms:
        for page in entry.decision.pages:
            alarms.raise_(page.alarm, ALARMS[page.alarm], page.reason, page.remedy)
        over = (identity for identity in judged(entry.observation.unknown) if identity not in wrong)
        alarms.clear(*over, grace_s=settings.supervise_grace_s)


@dataclass(frozen=True)
class _Round:
    """One act, once it was decided upon."""

    settings: Settings
    program: JobProgram
    state: Path
    prepare: Callable[[], None]
    say: Say
    remembered: Sequence[Observation]

    def act(self, entry: Entry) -> Entry:
        """Look again under the lock, where nobody else can act, and act if that still is the decision."""
        try:
            with acting(self.settings) as turn:
                if turn is None:
                    return _instead(entry, "wait", entry.decision.alarm, "another supervisor has the lock", "none")
                again = look(self.settings, self.state, self.remembered)
                return self._start(again, turn) if again.decision.acts else again
        except TransientError as error:
            return _instead(entry, "page", "supervise.no_journal", error.message, error.remedy)

    def _start(self, entry: Entry, turn: Turn) -> Entry:
        try:
            self.prepare()
        except ShowroomError as error:
            return _instead(entry, "page", "serving.no_templates", error.message, error.remedy)
        # Recorded before it is done: a supervisor that dies in the act has spent its part of the budget.
        begun = Entry(entry.at, entry.observation, entry.decision, acted=True, outcome="begun")
        with Journal(self.settings) as journal:
            journal.record(begun)
        began = time.monotonic()
        try:
            with FlinkRest(self.settings) as flink:
                outcome = start_stream(
                    flink,
                    self.program,
                    self.state,
                    within_s=self.settings.supervise_grace_s,
                    ids=turn,
                    say=self.say,
                )
        except TransientError as error:
            return Entry(time.time(), entry.observation, entry.decision, outcome=f"not running yet: {error.message}")
        except ShowroomError as error:
            failed = _instead(entry, "page", "stream.start_failed", error.message, error.remedy)
            return Entry(time.time(), failed.observation, failed.decision, outcome=f"failed: {error.message}")
        outcome = f"{outcome}, after {time.monotonic() - began:.1f} s"
        return Entry(time.time(), entry.observation, entry.decision, outcome=outcome)


def _without_journal(
    settings: Settings, state: Path, remembered: Sequence[Observation], error: TransientError
) -> Entry:
    """Without the journal no start can be budgeted: whatever would act, pages instead."""
    seen = observe(settings, remembered[-1] if remembered else None, state=state)
    now = time.time()
    entry = Entry(now, seen, decide(seen, remembered, (), Limits.of(settings), now))
    if not entry.decision.acts:
        return entry
    reason = f"{entry.decision.reason}; but {error.message}"
    return _instead(entry, "page", "supervise.no_journal", reason, error.remedy)


def _instead(entry: Entry, action: Action, alarm: str, reason: str, remedy: str) -> Entry:
    return Entry(entry.at, entry.observation, Decision(action, alarm, reason, remedy, entry.decision.also))
