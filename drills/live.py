"""What drills on the running platform share: the account of two loads, and whether supervision restarted anything."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from benchmarks.bench_stack import on_progress
from include.contracts.errors import NotReadyError
from include.contracts.settings import Settings
from include.contracts.topics import DEAD
from include.ingest.expected_counts import ExpectedCounts
from include.supervise.decision_log import DecisionLog
from include.supervise.flink_rest import FlinkRest
from include.supervise.stream_job import get_job_status
from local.verification.count_check import Baseline, StageCount, compare_counts, wait_until_indexed

PATIENCE_S = 240.0
LAST_ENTRIES = 500
WAITING = "waiting for Elasticsearch"


def combined(first: ExpectedCounts, second: ExpectedCounts) -> ExpectedCounts:
    """Return the counts of two loads together. Users and rows of kpi_minute are not united, and not compared."""
    return msgspec.structs.replace(
        first,
        produced=first.produced + second.produced,
        verdicts=dict(Counter(first.verdicts) + Counter(second.verdicts)),
        documents=dict(Counter(first.documents) + Counter(second.documents)),
        purchases=first.purchases + second.purchases,
        revenue=first.revenue + Decimal(second.revenue),
        unique_users=None,
    )


def lines_of(settings: Settings, expected: ExpectedCounts, since: Baseline) -> list[StageCount]:
    """Wait until everything is indexed, then account for each stage; differences are logged."""
    try:
        wait_until_indexed(settings, expected, since, PATIENCE_S)
    except NotReadyError as error:
        on_progress(str(error))
    lines = compare_counts(settings, expected, since)
    for line in lines:
        if line.difference:
            on_progress(f"{line.stage}: {line.what}: {line.expected:g} expected, {line.actual:g} found")
    return lines


def balance_of(lines: Sequence[StageCount]) -> dict[str, int]:
    """Return the figures lost, duplicated and dead_letters."""
    counts = [line for line in lines if line.what != DEAD]
    return {
        "lost": round(max(0.0, *(-line.difference for line in counts))),
        "duplicated": round(max(0.0, *(line.difference for line in counts))),
        "dead_letters": round(next(line.actual for line in lines if line.what == DEAD)),
    }


class RestartCounter:
    """Counts restarts of the stream job since it was made: by Flink, by supervision, or by anybody else."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._since = time.time()
        with FlinkRest(settings) as flink:
            self._before = get_job_status(flink)

    def restarts(self) -> int:
        """Restarts so far."""
        with DecisionLog(self._settings) as decision_log:
            restarts = len(decision_log.restarts_since(self._since))
        with FlinkRest(self._settings) as flink:
            now = get_job_status(flink)
        if now is None or self._before is None or now.job_id != self._before.job_id:
            return restarts + 1
        return restarts + now.restarts - self._before.restarts

    def decisions(self) -> dict[str, int]:
        """How often supervision decided what."""
        with DecisionLog(self._settings) as decision_log:
            records = [record for record in decision_log.last(LAST_ENTRIES) if record.at > self._since]
        return dict(Counter(f"{record.decision.action} {record.decision.alert}".strip() for record in records))


class WaitLog:
    """The waits that the stream job logs, read from the end the log had when this was made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size

    def count(self, cause: str) -> int:
        """Logged waits for this cause since the last call."""
        with self._path.open("rb") as log:
            log.seek(self._offset)
            added = log.read()
        self._offset += len(added)
        lines = added.decode("utf-8", "replace").splitlines()
        return sum(WAITING in line and cause in line for line in lines)


def pause(seconds: float) -> None:
    """Wait."""
    threading.Event().wait(seconds)
