"""An idle night in ten minutes: without any input the supervisor must find everything as it should be."""

import threading
from collections import Counter
from typing import Any

from benchmarks.bench_stack import empty_stack, say
from benchmarks.result import report
from drills.drill import LAST_ENTRIES, RESULTS, drill_settings, start
from include.clients.flink import FlinkRest
from include.supervise.journal import Journal
from include.supervise.stream_job import observe

TARGETS = {"restarts": ("at most", 0.0), "pages": ("at most", 0.0), "rounds": ("at least", 1.0)}


def run(minutes: float) -> str:
    """Wait; returns the JSON line."""
    settings = drill_settings()
    with empty_stack(settings) as stack:
        start(stack)
        with FlinkRest(settings) as flink, Journal(settings) as journal:
            began = observe(flink)
            earlier = {entry.at for entry in journal.last(LAST_ENTRIES)}
            say(f"nothing happens for {minutes:g} minutes")
            threading.Event().wait(minutes * 60)
            ended = observe(flink)
            entries = [entry for entry in journal.last(LAST_ENTRIES) if entry.at not in earlier]
    actions = Counter(entry.decision.action for entry in entries)
    same_job = began is not None and ended is not None and began.job_id == ended.job_id
    figures: dict[str, Any] = {
        "restarts": sum(entry.acted for entry in entries) + (ended.restarts if same_job and ended else 1),
        "pages": actions["page"],
        "rounds": len(entries),
        "actions": dict(actions),
        "same_job": same_job,
    }
    return report("idle", figures=figures, targets=TARGETS, seed=0, config={"minutes": minutes}, folder=RESULTS)
