"""`./showroom drill idle`: without input, supervision must neither restart the stream nor page."""

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
    """Run the platform without input.

    Args:
        minutes: Duration without input.

    Returns:
        The result as one JSON line.
    """
    settings = drill_settings()
    with empty_stack(settings) as stack:
        start(stack)
        with FlinkRest(settings.flink) as flink, DecisionLog(settings.redis) as decision_log:
            job_before = get_job_status(flink)
            earlier_timestamps = {record.at for record in decision_log.last(LAST_ENTRIES)}
            on_progress(f"no input for {minutes:g} minutes")
            threading.Event().wait(minutes * 60)
            job_after = get_job_status(flink)
            records = [record for record in decision_log.last(LAST_ENTRIES) if record.at not in earlier_timestamps]
    actions = Counter(record.decision.action for record in records)
    same_job = job_before is not None and job_after is not None and job_before.job_id == job_after.job_id
    figures: dict[str, Any] = {
        "restarts": sum(record.is_restart for record in records)
        + (job_after.restarts if same_job and job_after else 1),
        "pages": actions["page"],
        "rounds": len(records),
        "actions": dict(actions),
        "same_job": same_job,
    }
    return report("idle", figures=figures, targets=TARGETS, seed=0, config={"minutes": minutes}, folder=RESULTS)
