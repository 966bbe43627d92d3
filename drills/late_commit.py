"""`drill late-commit`: a commit is held, its connection is reset, and the broker gets it late.

A gate that sends the commit again, or begins another transaction under the same epoch, has that one ended half
done by the late request. The reader watches meanwhile: a batch is visible as a whole or not at all.
"""

import random
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.bench_stack import empty_stack, on_progress
from benchmarks.result import report
from drills.backlog import Backlog
from drills.gate_process import GateProcess, log_gate_log_path, log_of
from drills.kafka import DRAIN_S, IN_DOUBT, KEY, PORT_OFFSET, RESULTS, red_before
from drills.origins import check_history
from drills.progress import Progress
from drills.proxy import HoldingProxy
from drills.visibility import PartialWatch
from include.contracts.setting import Secret
from include.contracts.settings import GateSettings, LocalSettings, Settings
from include.gate.sink import COMMIT_TIMEOUT_S
from local.project import ROOT
from local.servers import kafka

PROXY_PORT_STEP = 50
TIMES, SHORT_TIMES = 20, 4
BATCH = 500
SESSIONS_PER_TIME = 20_000
SOON_S, AFTER_LIMIT_S = (0.05, 3.0), (COMMIT_TIMEOUT_S + 0.5, COMMIT_TIMEOUT_S + 4.0)
"""Late by so much, in turn: while the gate still waits, or when a new producer has begun to work."""
NO_ANSWER, FENCED = -1, 47
"""Kafka's error code of a request from a producer with an old epoch."""
COMPARISONS_PER_TIME = 5
SETTLE_S = 60.0
TARGETS = {
    "partial_transactions": ("at most", 0.0),
    "lost": ("at most", 0.0),
    "duplicated": ("at most", 0.0),
    "rejected": ("at most", 0.0),
    "resent_commits": ("at most", 0.0),
    "hung": ("at most", 0.0),
    "timeouts": ("at most", 0.0),
    "gate_starts": ("at most", 1.0),
}


def run(*, short: bool = False, seed: int = 1, checkout: Path = ROOT) -> str:
    """Do the drill; returns the JSON line. `checkout`: the folder whose gate is tried."""
    settings = Settings(
        local=LocalSettings(state_dir=Path(".showroom/drill"), port_offset=PORT_OFFSET),
        gate=GateSettings(pseudonym_key=Secret(KEY), batch_size=BATCH),
    )
    times = SHORT_TIMES if short else TIMES
    rng = random.Random(seed)
    proxied, upstream = settings.local.ports.kafka + PROXY_PORT_STEP, settings.local.ports.kafka + PROXY_PORT_STEP + 1
    with kafka.second_listener(upstream, proxied), empty_stack(settings) as stack:
        stack.up(["kafka", "redis"])
        backlog = Backlog(settings, seed)
        gate_settings = settings.replace(kafka={"bootstrap_servers": f"127.0.0.1:{proxied}"})
        late = cycle((SOON_S, AFTER_LIMIT_S))
        timeouts: list[str] = []
        with (
            HoldingProxy(proxied, upstream, lambda: rng.uniform(*next(late))) as proxy,
            PartialWatch(settings) as watch,
            GateProcess(gate_settings, log_of(settings, "late-commit"), checkout) as gate,
        ):
            progress = Progress(settings)
            for number in range(times):
                timeouts += _hold_one(backlog, proxy, progress, watch, rng)
                on_progress(f"{len(proxy.held_commits)} of {number + 1} commits were held")
            done = progress.wait(lambda count: count >= backlog.sessions, DRAIN_S)
            progress.close()
            effects, starts = gate.count_lines(IN_DOUBT), gate.starts
        history = check_history(settings)
    figures: dict[str, Any] = {
        "partial_transactions": watch.partial,
        "comparisons": watch.comparisons,
        "lost": history.lost,
        "duplicated": history.duplicated,
        "rejected": history.rejected,
        "resent_commits": proxy.resent,
        # Late commits that the broker answered; those that it fenced came after the new producer's start.
        "fault_effects": sum(response != NO_ANSWER for response in proxy.answers),
        "late_commits_fenced": proxy.answers.count(FENCED),
        "gate_renewed_producers": effects,
        "broker_answers_to_late_commits": sorted(set(proxy.answers)),
        "timeouts": len(timeouts),
        "hung": int(done is None),
        "gate_starts": starts,
        "aborted_records": history.aborted,
        "sessions": history.raw,
        "red_before": red_before("late-commit"),
    }
    config = {"times": times, "gate_batch": BATCH, "late_s": [SOON_S, AFTER_LIMIT_S]}
    result = report("late-commit", figures=figures, targets=_targets(times), seed=seed, config=config, folder=RESULTS)
    log_gate_log_path(settings, "late-commit", result)
    return result


def _targets(times: int) -> dict[str, tuple[str, float]]:
    """Every held commit must take effect, and every second one comes later than the gate waits for it."""
    return TARGETS | {
        "fault_effects": ("at least", float(times)),
        "late_commits_fenced": ("at least", float(times // 2)),
        "gate_renewed_producers": ("at least", float(times)),
        "comparisons": ("at least", float(times * COMPARISONS_PER_TIME)),
    }


def _hold_one(
    backlog: Backlog, proxy: HoldingProxy, progress: Progress, watch: PartialWatch, rng: random.Random
) -> list[str]:
    """Hold the next commit at a random moment, and wait until the broker has had it and the gate commits again.

    Returns what did not happen in time.
    """
    done, stored = backlog.sessions, len(proxy.held_commits)
    backlog.append(SESSIONS_PER_TIME)
    goal = done + round(SESSIONS_PER_TIME * rng.uniform(0.05, 0.6))
    missed: list[str] = []

    def wait(event: str, happened: Callable[[int], bool]) -> None:
        if progress.wait(happened, SETTLE_S) is None:
            missed.append(event)
            on_progress(f"not within {SETTLE_S:g} s: {event}")

    wait("the gate commits before the fault", lambda count: count >= goal)
    proxy.hold = 1
    wait("a commit is held", lambda _: len(proxy.held_commits) > stored)
    compared = watch.comparisons
    wait("the held commit is delivered", lambda _: proxy.delivered > stored)
    wait("the gate commits again", lambda count: count >= backlog.sessions - SESSIONS_PER_TIME // 4)
    wait("the reader compares", lambda _: watch.comparisons > compared)
    return missed
