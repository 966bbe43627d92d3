"""Helpers of the drills on the running platform: counts, restarts of the stream job, and logged waits."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from benchmarks.bench_stack import on_progress
from include.clients.flink import FlinkRest
from include.contracts.errors import NotReadyError
from include.contracts.settings import Settings
from include.contracts.topics import DEAD
from include.ingest.expected_counts import ExpectedCounts
from include.supervise.decision_log import DecisionLog
from include.supervise.stream_job import get_job_status
from local.verification.count_check import Baseline, StageCount, compare_counts, wait_until_indexed

INDEX_TIMEOUT_S = 240.0
LAST_ENTRIES = 500
WAITING = "waiting for Elasticsearch"


def combine_expected(first: ExpectedCounts, second: ExpectedCounts) -> ExpectedCounts:
    """Return the sum of the counts of two loads. Users and rows of kpi_minute are not combined."""
    return msgspec.structs.replace(
        first,
        produced=first.produced + second.produced,
        verdicts=dict(Counter(first.verdicts) + Counter(second.verdicts)),
        documents=dict(Counter(first.documents) + Counter(second.documents)),
        purchases=first.purchases + second.purchases,
        revenue=first.revenue + Decimal(second.revenue),
        unique_users=None,
    )


def check_counts(settings: Settings, expected: ExpectedCounts, since: Baseline) -> list[StageCount]:
    """Wait until everything is indexed, then compare the counts of each stage and log the differences."""
    try:
        wait_until_indexed(settings.elasticsearch, expected, since, INDEX_TIMEOUT_S)
    except NotReadyError as error:
        on_progress(str(error))
    lines = compare_counts(settings, expected, since)
    for line in lines:
        if line.difference:
            on_progress(f"{line.stage}: {line.what}: {line.expected:g} expected, {line.actual:g} actual")
    return lines


def count_differences(lines: Sequence[StageCount]) -> dict[str, int]:
    """Return the figures `lost`, `duplicated` and `dead_letters`."""
    counts = [line for line in lines if line.what != DEAD]
    return {
        "lost": round(max(0.0, *(-line.difference for line in counts))),
        "duplicated": round(max(0.0, *(line.difference for line in counts))),
        "dead_letters": round(next(line.actual for line in lines if line.what == DEAD)),
    }


class RestartCounter:
    """Counter of the stream job's restarts since the creation of this object, for any cause."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._since = time.time()
        with FlinkRest(settings.flink) as flink:
            self._before = get_job_status(flink)

    def restarts(self) -> int:
        """Return the number of restarts so far."""
        with DecisionLog(self._settings.redis) as decision_log:
            restarts = len(decision_log.restarts_since(self._since))
        with FlinkRest(self._settings.flink) as flink:
            job = get_job_status(flink)
        if job is None or self._before is None or job.job_id != self._before.job_id:
            return restarts + 1
        return restarts + job.restarts - self._before.restarts

    def decisions(self) -> dict[str, int]:
        """Return the number of supervision decisions by action and alert."""
        with DecisionLog(self._settings.redis) as decision_log:
            records = [record for record in decision_log.last(LAST_ENTRIES) if record.at > self._since]
        return dict(Counter(f"{record.decision.action} {record.decision.alert}".strip() for record in records))


class WaitLog:
    """Reader of the waits in the stream job's log, from the log's end at creation."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size

    def count(self, cause: str) -> int:
        """Return the number of logged waits for a cause since the last call."""
        with self._path.open("rb") as log:
            log.seek(self._offset)
            added = log.read()
        self._offset += len(added)
        lines = added.decode("utf-8", "replace").splitlines()
        return sum(WAITING in line and cause in line for line in lines)


def pause(seconds: float) -> None:
    """Wait for some seconds."""
    threading.Event().wait(seconds)
