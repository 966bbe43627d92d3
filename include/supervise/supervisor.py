"""One supervision cycle: observe, decide, restart under the supervisor lock, record, alert."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from include.clients.flink import FlinkRest
from include.contracts.errors import ShowroomError, TransientError
from include.contracts.settings import Settings
from include.supervise.alert_manager import AlertManager
from include.supervise.alerts import ALERTS, resolvable_alerts
from include.supervise.decision_log import DecisionLog, DecisionRecord, LockLease, supervisor_lock
from include.supervise.heartbeat import send_heartbeat
from include.supervise.observation import Observation
from include.supervise.policy import Action, Decision, Limits, decide
from include.supervise.probes import observe
from include.supervise.restart import restart_stream
from include.supervise.stream_job import JobProgram

HISTORY = 120

OnProgress = Callable[[str], None]


def observe_and_decide(settings: Settings, state: Path, earlier: Sequence[Observation] = ()) -> DecisionRecord:
    """Observe and decide without restarting, recording or alerting; never raises for an unavailable server.

    Args:
        settings: Addresses and limits.
        state: Flink's data folder with checkpoints and savepoints.
        earlier: Observations of the caller that the decision log may not have.
    """
    try:
        with DecisionLog(settings.redis) as decisions:
            history = [*(record.observation for record in reversed(decisions.last(HISTORY))), *earlier]
            restarts = decisions.restarts_since(time.time() - settings.supervise.restart_window_s)
    except TransientError as error:
        return _decide_without_log(settings, state, earlier, error)
    history.sort(key=lambda past: past.taken_at)
    observation = observe(settings, history[-1] if history else None, state=state)
    now = time.time()
    return DecisionRecord(now, observation, decide(observation, history, restarts, Limits.of(settings.supervise), now))


def run_cycle(
    settings: Settings,
    program: JobProgram,
    state: Path,
    *,
    prepare: Callable[[], None],
    on_progress: OnProgress,
    earlier: Sequence[Observation] = (),
) -> DecisionRecord:
    """Run one cycle; never raises for an unavailable server.

    Args:
        settings: Addresses and limits.
        program: Files of the stream job.
        state: Flink's data folder with checkpoints and savepoints.
        prepare: Creates the index templates before a job starts.
        on_progress: Called with a line for each step.
        earlier: Observations of the caller that the decision log may not have.

    Returns:
        The observation, the decision and its outcome.
    """
    record = observe_and_decide(settings, state, earlier)
    if record.decision.should_restart:
        record = _Restart(settings, program, state, prepare, on_progress, earlier).run(record)
    on_progress(f"{record.decision.action}: {record.decision.alert}: {record.decision.reason}")
    if record.outcome:
        on_progress(record.outcome)
    try:
        with DecisionLog(settings.redis) as decisions:
            decisions.append(record)
    except TransientError as error:
        on_progress(f"not recorded: {error}")
    send_alerts(settings, record)
    send_heartbeat(settings)
    return record


def send_alerts(settings: Settings, record: DecisionRecord) -> None:
    """Fire the alerts of a decision, and resolve those of the supervisor whose condition is over.

    An alert whose source is unavailable is not resolved: its state is unknown.
    """
    firing = {finding.alert for finding in record.decision.findings}
    with AlertManager(settings) as manager:
        for finding in record.decision.alerts:
            manager.fire(finding.alert, ALERTS[finding.alert].summary, finding.reason, finding.remedy)
        over = (alert for alert in resolvable_alerts(record.observation.unavailable) if alert not in firing)
        manager.resolve(*over, grace_s=settings.supervise.startup_grace_s)


@dataclass(frozen=True)
class _Restart:
    """One restart that was decided."""

    settings: Settings
    program: JobProgram
    state: Path
    prepare: Callable[[], None]
    on_progress: OnProgress
    earlier: Sequence[Observation]

    def run(self, record: DecisionRecord) -> DecisionRecord:
        """Decide again under the lock, because another supervisor may have acted, and restart if still necessary."""
        try:
            with supervisor_lock(self.settings.redis) as lease:
                if lease is None:
                    reason = "another supervisor has the lock"
                    return _replace_decision(record, "wait", record.decision.alert, reason, "none")
                current = observe_and_decide(self.settings, self.state, self.earlier)
                return self._start(current, lease) if current.decision.should_restart else current
        except TransientError as error:
            alert = "supervise.decision_log_unavailable"
            return _replace_decision(record, "page", alert, error.message, error.remedy)

    def _start(self, record: DecisionRecord, lease: LockLease) -> DecisionRecord:
        try:
            self.prepare()
        except ShowroomError as error:
            return _replace_decision(record, "page", "serving.no_templates", error.message, error.remedy)
        # Recorded first, because a supervisor that dies during the restart has spent its part of the budget.
        begun = DecisionRecord(record.at, record.observation, record.decision, is_restart=True, outcome="begun")
        with DecisionLog(self.settings.redis) as decisions:
            decisions.append(begun)
        began = time.monotonic()
        try:
            with FlinkRest(self.settings.flink) as flink:
                outcome = restart_stream(
                    flink,
                    self.program,
                    self.state,
                    within_s=self.settings.supervise.startup_grace_s,
                    ids=lease,
                    on_progress=self.on_progress,
                )
        except TransientError as error:
            return _with_outcome(record, f"not running yet: {error.message}")
        except ShowroomError as error:
            failed = _replace_decision(record, "page", "stream.start_failed", error.message, error.remedy)
            return _with_outcome(failed, f"failed: {error.message}")
        return _with_outcome(record, f"{outcome}, after {time.monotonic() - began:.1f} s")


def _decide_without_log(
    settings: Settings, state: Path, earlier: Sequence[Observation], error: TransientError
) -> DecisionRecord:
    """Decide without the decision log: no restart can be budgeted, so a restart becomes a page."""
    observation = observe(settings, earlier[-1] if earlier else None, state=state)
    now = time.time()
    record = DecisionRecord(now, observation, decide(observation, earlier, (), Limits.of(settings.supervise), now))
    if not record.decision.should_restart:
        return record
    reason = f"{record.decision.reason}; but {error.message}"
    return _replace_decision(record, "page", "supervise.decision_log_unavailable", reason, error.remedy)


def _replace_decision(record: DecisionRecord, action: Action, alert: str, reason: str, remedy: str) -> DecisionRecord:
    decision = Decision(action, alert, reason, remedy, record.decision.other_findings)
    return DecisionRecord(record.at, record.observation, decision)


def _with_outcome(record: DecisionRecord, outcome: str) -> DecisionRecord:
    return DecisionRecord(time.time(), record.observation, record.decision, outcome=outcome)
