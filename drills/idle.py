"""An idle night in ten minutes: without any input the supervisor must find everything as it should be."""

import threading
from collections import Counter
from typing import Any

from benchmarks.bench_stack import empty_stack, on_progress
from benchmarks.result import report
from drills.drill import LAST_ENTRIES, RESULTS, drill_settings, start
from include.clients.flink import FlinkRest
from include.supervise.decision_log import DecisionLog
from include.supervise.stream_job import get_job_status

TARGETS = {"restarts": ("at most", 0.0), "pages": ("at most", 0.0), "rounds": ("at least", 1.0)}


def run(minutes: float) -> str:
    """Wait; returns the JSON line."""
    settings = drill_settings()
    with empty_stack(settings) as stack:
        start(stack)
        with FlinkRest(settings) as flink, DecisionLog(settings) as decision_log:
            began = get_job_status(flink)
            earlier = {record.at for record in decision_log.last(LAST_ENTRIES)}
            on_progress(f"nothing happens for {minutes:g} minutes")
            threading.Event().wait(minutes * 60)
            ended = get_job_status(flink)
            records = [record for record in decision_log.last(LAST_ENTRIES) if record.at not in earlier]
    actions = Counter(record.decision.action for record in records)
    same_job = began is not None and ended is not None and began.job_id == ended.job_id
    figures: dict[str, Any] = {
        "restarts": sum(record.is_restart for record in records) + (ended.restarts if same_job and ended else 1),
        "pages": actions["page"],
        "rounds": len(records),
        "actions": dict(actions),
        "same_job": same_job,
    }
    return report("idle", figures=figures, targets=TARGETS, seed=0, config={"minutes": minutes}, folder=RESULTS)
