"""Run of one drill: the platform under a steady load, one fault, and a count of every session afterwards."""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.bench_stack import empty_stack, on_progress
from benchmarks.result import report
from drills.faults import FAULTS
from drills.watch import FreshnessMonitor, measure_recovery
from include.contracts.errors import NotReadyError
from include.contracts.setting import Secret
from include.contracts.settings import GateSettings, LocalSettings, RedisSettings, Settings
from include.ingest.generator import synthesize
from include.ingest.ground_truth import GroundTruth
from include.ingest.plan import Plan
from include.ingest.publisher import publish
from include.supervise.decision_log import DecisionLog, DecisionRecord
from local.airflow_login import connect_airflow
from local.project import ROOT
from local.stack import Stack
from local.stream_job import start_job, wait_started
from local.verification.count_check import StageCount, compare_counts, take_baseline, wait_until_indexed

RESULTS = Path(__file__).parent / "results"
PORT_OFFSET = 2_500
KEY = "a key for drills only, never used elsewhere"
START_DEADLINE_S = 240.0
BEFORE_S, AFTER_S = 30.0, 120.0
INDEX_TIMEOUT_S = 180.0
ARCHIVE_TRIES = 3
LAST_ENTRIES = 500
TARGETS = {
    "recovery_s": ("at most", 60.0),
    "lost": ("at most", 0.0),
    "duplicated": ("at most", 0.0),
    # Because a drill whose fault took no effect proves nothing.
    "fault_effects": ("at least", 1.0),
}


def drill_settings(**changes: Mapping[str, Any]) -> Settings:
    """Return settings with a separate state folder and separate ports, changed as by `Settings.replace`."""
    return Settings(
        local=LocalSettings(state_dir=Path(".showroom/drill"), port_offset=PORT_OFFSET),
        gate=GateSettings(pseudonym_key=Secret(KEY)),
    ).replace(**changes)


def run(name: str, per_s: float, seed: int) -> str:
    """Run a drill.

    Args:
        name: Name of the fault in `FAULTS`.
        per_s: Sessions a second.
        seed: Seed of the synthetic shop.

    Returns:
        The result as one JSON line.
    """
    fault = FAULTS[name]
    settings, has_airflow = drill_settings(**fault.settings), fault.programs is None
    with empty_stack(settings) as stack:
        start_duration_s = start(stack, fault.programs)
        since = take_baseline(settings, archive=has_airflow)
        load, ledger = _build_load(settings, per_s, seed)
        on_progress(f"{per_s:g} sessions a second for {BEFORE_S + AFTER_S:g} s; fault after {BEFORE_S:g} s")
        with ThreadPoolExecutor(1) as background, FreshnessMonitor(settings.elasticsearch) as monitor:
            publication = background.submit(publish, settings.kafka, load, rate=per_s)
            threading.Event().wait(BEFORE_S)
            injected = fault.inject(stack)
            fault_at = time.time()
            on_progress(f"{name}: injected")
            publication.result()
            samples = monitor.samples
        recovery = measure_recovery(samples, fault_at)
        lines = _check_counts(stack, ledger, since, archive=has_airflow)
        decisions = _read_decisions(settings.redis, fault_at)
        effects, fault_metrics = injected.effects(), injected.metrics()
    figures: dict[str, Any] = {
        "recovery_s": recovery.recovery_s,
        "stood_still_s": recovery.stall_s,
        "fresh_again_s": recovery.lag_recovery_s,
        "lost": round(max(0.0, *(-line.difference for line in lines))),
        "duplicated": round(max(0.0, *(line.difference for line in lines))),
        "fault_effects": effects,
        **fault_metrics,
        "sessions": ledger.expected.valid,
        "job_started_by_airflow_s" if has_airflow else "job_started_s": round(start_duration_s, 1),
        "decisions": decisions,
    }
    config = {"sessions_per_s": per_s, "before_s": BEFORE_S, "after_s": AFTER_S}
    targets = {**TARGETS, **fault.targets}
    return report(name, figures=figures, targets=targets, seed=seed, config=config, folder=RESULTS)


def start(stack: Stack, programs: tuple[str, ...] | None = None) -> float:
    """Start the stack and wait until the stream job runs and has a checkpoint.

    Args:
        stack: Stack of the drill.
        programs: Programs to start; this function then submits the job. None starts all, and Airflow submits the job.

    Returns:
        Seconds from the ready stack to that checkpoint.
    """
    stack.up(programs)
    began = time.monotonic()
    if programs is None:
        on_progress("waiting for supervise_stream to start the stream")
    else:
        start_job(stack.settings, deadline_s=START_DEADLINE_S)
    wait_started(stack.settings.flink, START_DEADLINE_S)
    return time.monotonic() - began


def _build_load(settings: Settings, per_s: float, seed: int) -> tuple[list[Any], GroundTruth]:
    """Return the sessions and their ground truth, generated before the measurement so as not to disturb it."""
    now = datetime.now(UTC)
    sessions = round(per_s * (BEFORE_S + AFTER_S))
    synthesis = synthesize(Plan.of(settings, seed=seed, start=now - timedelta(days=1), end=now, sessions=sessions))
    return list(synthesis), synthesis.ground_truth


def _check_counts(stack: Stack, ledger: GroundTruth, since: Any, *, archive: bool) -> list[StageCount]:
    """Wait until everything is processed, then compare the counts of each stage and log the differences."""
    settings = stack.settings
    try:
        wait_until_indexed(settings.elasticsearch, ledger.expected, since, INDEX_TIMEOUT_S)
        if archive:
            _archive(stack)
    except NotReadyError as error:
        on_progress(str(error))
    lines = compare_counts(settings, ledger.expected, since, archive=archive)
    for line in lines:
        if line.difference:
            on_progress(f"{line.stage}: {line.what}: {line.expected:g} expected, {line.actual:g} actual")
    return lines


def _archive(stack: Stack) -> None:
    with connect_airflow(stack.settings.airflow, stack.layout) as airflow:
        for _ in range(ARCHIVE_TRIES):
            run_id = airflow.trigger("archive_sessions")
            if airflow.wait("archive_sessions", run_id, INDEX_TIMEOUT_S) == "success":
                return


def _read_decisions(settings: RedisSettings, fault_at: float) -> list[dict[str, Any]]:
    """Return the supervisor's decisions from the fault to the first healthy one."""
    with DecisionLog(settings) as decision_log:
        records = [record for record in reversed(decision_log.last(LAST_ENTRIES)) if record.at > fault_at]
    messages: list[dict[str, Any]] = []
    for record in records:
        messages.append(_summarize(record, fault_at))
        if record.decision.action == "healthy" and len(messages) > 1:
            break
    return messages


def _summarize(record: DecisionRecord, fault_at: float) -> dict[str, Any]:
    decision = record.decision
    return {
        "after_s": round(record.at - fault_at, 1),
        "action": decision.action,
        "alert": decision.alert,
        "reason": _strip_project_path(decision.reason),
        "outcome": record.outcome and _strip_project_path(record.outcome),
    }


def _strip_project_path(text: str) -> str:
    """Remove the project's path from a text."""
    return text.replace(f"{ROOT}/", "")
