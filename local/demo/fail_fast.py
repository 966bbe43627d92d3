"""Terminal verdicts of the supervisor and of Airflow, for a command that waits for the stream to start."""

import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from include.clients.airflow import AirflowApi
from include.contracts.errors import TerminalError, TransientError
from include.contracts.settings import RedisSettings
from include.supervise.decision_log import DecisionLog, DecisionRecord

TERMINAL = frozenset({"stream.start_failed", "stream.restart_limit_reached", "stream.restore_unknown"})
"""Alerts after which the supervisor does not start the stream without an operator."""
AIRFLOW_INTERVAL_S = 5.0


class StreamVerdicts:
    """Raise as soon as the stream cannot start without an operator.

    Args:
        settings: Settings of the stack.
        airflow: Connection to its Airflow.
        dag_id: DAG that starts the stream.
        since: Unix time in s; earlier verdicts do not count.
    """

    def __init__(self, settings: RedisSettings, airflow: AirflowApi, dag_id: str, since: float) -> None:
        self._settings = settings
        self._airflow = airflow
        self._dag_id = dag_id
        self._since = since
        self._airflow_due = 0.0

    def check(self) -> None:
        """Read the newest verdicts; a server that is unavailable gives none.

        Raises:
            TerminalError: The supervisor cannot start the stream, or its DAG run failed.
        """
        try:
            with DecisionLog(self._settings) as decision_log:
                verdict = terminal_decision(decision_log.last(1), self._since)
            if verdict is None and time.monotonic() >= self._airflow_due:
                self._airflow_due = time.monotonic() + AIRFLOW_INTERVAL_S
                verdict = self._failed_run()
        except TransientError:
            return
        if verdict is not None:
            raise verdict

    def _failed_run(self) -> TerminalError | None:
        run_id = failed_run(self._airflow.runs(self._dag_id), self._since)
        if run_id is None:
            return None
        reason = self._airflow.failure(self._dag_id, run_id)
        return TerminalError(f"{self._dag_id} failed: {reason}", "see its log in Airflow")


def terminal_decision(records: Iterable[DecisionRecord], since: float) -> TerminalError | None:
    """Return the error of the newest decision if that decision is terminal.

    Args:
        records: Decisions, newest first.
        since: Unix time in s; older decisions are ignored.
    """
    newest = next(iter(records), None)
    if newest is None or newest.at < since:
        return None
    finding = next((finding for finding in newest.decision.alerts if finding.alert in TERMINAL), None)
    if finding is None:
        return None
    return TerminalError(f"start of the stream failed: {finding.alert}: {finding.reason}", finding.remedy)


def failed_run(runs: Iterable[Mapping[str, Any]], since: float) -> str | None:
    """Return the id of the newest ended run if that run failed and was due at `since` (Unix s) or later."""
    ended = next((run for run in runs if run["state"] in ("success", "failed")), None)
    if ended is None or ended["state"] != "failed":
        return None
    due = datetime.fromisoformat(str(ended["run_after"]))
    return str(ended["dag_run_id"]) if due.timestamp() >= since else None
