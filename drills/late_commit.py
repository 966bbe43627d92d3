"""`./showroom drill late-commit`: the proxy delays a commit and resets its connection; the broker gets it late.

If the gate resends the commit, or begins another transaction in the same epoch, the late request ends that transaction
too early. A reader checks meanwhile that each batch is visible completely or not at all.
"""

import random
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.bench_stack import empty_stack, on_progress
from benchmarks.result import report
from drills.backlog import Backlog
from drills.gate_process import GateProcess, gate_log_path, log_gate_log_path
from drills.kafka import DRAIN_TIMEOUT_S, IN_DOUBT, KEY, PORT_OFFSET, RESULTS, read_red_before
from drills.origins import check_history
from drills.progress import Progress
from drills.proxy import DelayingProxy
from drills.visibility import PartialTransactionMonitor
from include.contracts.setting import Secret
from include.contracts.settings import GateSettings, LocalSettings, Settings
from include.gate.sink import COMMIT_TIMEOUT_S
from local.project import ROOT
from local.servers import kafka

PROXY_PORT_STEP = 50
REPEATS, SHORT_REPEATS = 20, 4
BATCH = 500
SESSIONS_PER_REPEAT = 20_000
SHORT_DELAY_S, LONG_DELAY_S = (0.05, 3.0), (COMMIT_TIMEOUT_S + 0.5, COMMIT_TIMEOUT_S + 4.0)
"""Ranges of the delay, alternately: while the gate still waits, and after it has started a new producer."""
NO_RESPONSE, FENCED = -1, 47
"""FENCED is Kafka's error code for a producer with an old epoch."""
COMPARISONS_PER_REPEAT = 5
EVENT_TIMEOUT_S = 60.0
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
    """Run the drill.

    Args:
        short: Whether to delay only a few commits.
        seed: Seed of the backlog and of the delays.
        checkout: Project folder of the gate under test.

    Returns:
        The result as one JSON line.
    """
    settings = Settings(
        local=LocalSettings(state_dir=Path(".showroom/drill"), port_offset=PORT_OFFSET),
        gate=GateSettings(pseudonym_key=Secret(KEY), batch_size=BATCH),
    )
    repeats = SHORT_REPEATS if short else REPEATS
    rng = random.Random(seed)
    proxy_port, broker_port = (
        settings.local.ports.kafka + PROXY_PORT_STEP,
        settings.local.ports.kafka + PROXY_PORT_STEP + 1,
    )
    with kafka.second_listener(broker_port, proxy_port), empty_stack(settings) as stack:
        stack.up(["kafka", "redis"])
        backlog = Backlog(settings, seed)
        gate_settings = settings.replace(kafka={"bootstrap_servers": f"127.0.0.1:{proxy_port}"})
        delays = cycle((SHORT_DELAY_S, LONG_DELAY_S))
        timeouts: list[str] = []
        with (
            DelayingProxy(proxy_port, broker_port, lambda: rng.uniform(*next(delays))) as proxy,
            PartialTransactionMonitor(settings.kafka) as monitor,
            GateProcess(gate_settings, gate_log_path(settings.local, "late-commit"), checkout) as gate,
        ):
            progress = Progress(settings.kafka)
            for number in range(repeats):
                timeouts += _delay_commit(backlog, proxy, progress, monitor, rng)
                on_progress(f"{len(proxy.delayed_commits)} of {number + 1} commits were delayed")
            drained_s = progress.wait(lambda count: count >= backlog.sessions, DRAIN_TIMEOUT_S)
            progress.close()
            renewed_producers, starts = gate.count_lines(IN_DOUBT), gate.starts
        history = check_history(settings.kafka)
    figures: dict[str, Any] = {
        "partial_transactions": monitor.partial_transactions,
        "comparisons": monitor.comparisons,
        "lost": history.lost,
        "duplicated": history.duplicated,
        "rejected": history.rejected,
        "resent_commits": proxy.resent_count,
        # Late commits with a response. The broker fences those that arrive after the start of the new producer.
        "fault_effects": sum(response != NO_RESPONSE for response in proxy.error_codes),
        "late_commits_fenced": proxy.error_codes.count(FENCED),
        "gate_renewed_producers": renewed_producers,
        "broker_answers_to_late_commits": sorted(set(proxy.error_codes)),
        "timeouts": len(timeouts),
        "hung": int(drained_s is None),
        "gate_starts": starts,
        "aborted_records": history.aborted,
        "sessions": history.raw,
        "red_before": read_red_before("late-commit"),
    }
    config = {"times": repeats, "gate_batch": BATCH, "late_s": [SHORT_DELAY_S, LONG_DELAY_S]}
    result = report("late-commit", figures=figures, targets=_targets(repeats), seed=seed, config=config, folder=RESULTS)
    log_gate_log_path(settings.local, "late-commit", result)
    return result


def _targets(repeats: int) -> dict[str, tuple[str, float]]:
    """Return the targets: each delayed commit takes effect, and every second one exceeds the gate's commit timeout."""
    return TARGETS | {
        "fault_effects": ("at least", float(repeats)),
        "late_commits_fenced": ("at least", float(repeats // 2)),
        "gate_renewed_producers": ("at least", float(repeats)),
        "comparisons": ("at least", float(repeats * COMPARISONS_PER_REPEAT)),
    }


def _delay_commit(
    backlog: Backlog, proxy: DelayingProxy, progress: Progress, monitor: PartialTransactionMonitor, rng: random.Random
) -> list[str]:
    """Delay the next commit at a random moment, and wait until it is delivered and the gate commits again.

    Returns:
        The events that did not happen in time.
    """
    appended, delayed_count = backlog.sessions, len(proxy.delayed_commits)
    backlog.append(SESSIONS_PER_REPEAT)
    goal = appended + round(SESSIONS_PER_REPEAT * rng.uniform(0.05, 0.6))
    missed_events: list[str] = []

    def wait(event: str, has_happened: Callable[[int], bool]) -> None:
        if progress.wait(has_happened, EVENT_TIMEOUT_S) is None:
            missed_events.append(event)
            on_progress(f"not within {EVENT_TIMEOUT_S:g} s: {event}")

    wait("the gate commits before the fault", lambda count: count >= goal)
    proxy.commits_to_delay = 1
    wait("a commit is delayed", lambda _: len(proxy.delayed_commits) > delayed_count)
    comparisons_before = monitor.comparisons
    wait("the delayed commit is delivered", lambda _: proxy.delivered_count > delayed_count)
    wait("the gate commits again", lambda count: count >= backlog.sessions - SESSIONS_PER_REPEAT // 4)
    wait("the reader compares", lambda _: monitor.comparisons > comparisons_before)
    return missed_events
