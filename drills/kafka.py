"""`./showroom drill kafka`: kills Kafka at random moments while the gate is at full load.

The recovery time of a kill starts with the broker's first response after its restart (drills/broker_probe.py) and ends
with the next commit of the gate. The backlog outlasts each kill, so that each kill measures a commit.
"""

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchmarks.bench_stack import empty_stack, on_progress
from benchmarks.result import report
from drills.backlog import Backlog
from drills.broker_probe import BrokerProbe
from drills.gate_process import GateProcess, gate_log_path, log_gate_log_path
from drills.origins import History, check_history
from drills.progress import Progress
from include.contracts.errors import NotReadyError
from include.contracts.setting import Secret
from include.contracts.settings import GateSettings, LocalSettings, Settings
from local.project import ROOT
from local.stack import Stack

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
PORT_OFFSET = 2_500
KEY = "a key for drills only, never used elsewhere"
DOWNTIMES_S = (*[5.0] * 10, *[40.0] * 3, 150.0)
SHORT_DOWNTIMES_S = (5.0, 5.0)
SESSIONS_AHEAD = 200_000
PROGRESS_TIMEOUT_S = 60.0
BROKER_START_TIMEOUT_S = 120.0
HANG_TIMEOUT_S = 90.0
DRAIN_TIMEOUT_S = 240.0
MAX_KILL_PROGRESS = 0.25
IN_DOUBT = "in doubt"
HANGING_COMMIT = "a commit hangs"
"""Last log line of a gate that exits because a commit hangs; its transaction is in doubt too."""
TARGETS = {
    "lost": ("at most", 0.0),
    "duplicated": ("at most", 0.0),
    "rejected": ("at most", 0.0),
    "hung": ("at most", 0.0),
    "unmeasured": ("at most", 0.0),
    "working_again_s": ("at most", 15.0),
    "aborted_records": ("at least", 1.0),
}


class Kill(NamedTuple):
    """One kill of Kafka.

    Attributes:
        downtime_s: Time without Kafka.
        broker_start_s: Time from the start of Kafka's process to the broker's first response.
        recovery_s: Time from that response to the gate's next commit; None if the gate did not commit in time.
        is_measured: Whether sessions were left at the broker's return, so that `recovery_s` measures a commit.
        is_in_doubt: Whether the gate logged a transaction in doubt.
    """

    downtime_s: float
    broker_start_s: float
    recovery_s: float | None
    is_measured: bool
    is_in_doubt: bool


def run(*, short: bool = False, seed: int = 1, checkout: Path = ROOT) -> str:
    """Run the drill.

    Args:
        short: Whether to kill Kafka only twice.
        seed: Seed of the backlog and of the kill times.
        checkout: Project folder of the gate under test.

    Returns:
        The result as one JSON line.
    """
    settings = Settings(
        local=LocalSettings(state_dir=Path(".showroom/drill"), port_offset=PORT_OFFSET),
        gate=GateSettings(pseudonym_key=Secret(KEY)),
    )
    downtimes_s = SHORT_DOWNTIMES_S if short else DOWNTIMES_S
    with empty_stack(settings) as stack:
        stack.up(["kafka", "redis"])
        backlog, rng = Backlog(settings, seed), random.Random(seed)
        with GateProcess(settings, gate_log_path(settings.local, "kafka"), checkout) as gate:
            progress = Progress(settings.kafka)
            kills = [_measure_kill(stack, gate, backlog, progress, seconds, rng) for seconds in downtimes_s]
            drained_s = progress.wait(lambda count: count >= backlog.sessions, DRAIN_TIMEOUT_S)
            progress.close()
            starts, gate_kills, hangs = gate.starts, gate.kills, gate.count_lines(HANGING_COMMIT)
        history = check_history(settings.kafka)
    figures = _summarize_kills(kills, history) | {
        "gate_starts": starts,
        "client_hangs": hangs,
        "red_before": read_red_before("kafka"),
    }
    figures["hung"] += drained_s is None
    targets = TARGETS | {
        # The gate may exit only because of a hanging client library. The drill kills a gate that hangs.
        "gate_starts": ("at most", 1.0 + gate_kills + hangs),
        "fault_effects": ("at least", float((len(kills) + 1) // 2)),
    }
    config = {"away_s": list(downtimes_s), "sessions_ahead": SESSIONS_AHEAD}
    result = report("kafka", figures=figures, targets=targets, seed=seed, config=config, folder=RESULTS)
    log_gate_log_path(settings.local, "kafka", result)
    return result


def read_red_before(name: str) -> Any:
    """Return the recorded result of the same drill on an older gate (drills/red_before.json)."""
    recorded: dict[str, Any] = msgspec.json.decode((FOLDER / "red_before.json").read_bytes())
    return recorded.get(name)


def _summarize_kills(kills: Sequence[Kill], history: History) -> dict[str, Any]:
    """Return the figures of all kills. Without a measured kill, `working_again_s` is infinite."""
    recovery_times_s = [kill.recovery_s for kill in kills if kill.is_measured and kill.recovery_s is not None]
    starts = [kill.broker_start_s for kill in kills]
    return {
        "lost": history.lost,
        "duplicated": history.duplicated,
        "rejected": history.rejected,
        "hung": sum(kill.recovery_s is None for kill in kills),
        "unmeasured": sum(not kill.is_measured for kill in kills),
        "working_again_s": max(recovery_times_s, default=float("inf")),
        "working_again_each_s": [kill.recovery_s if kill.is_measured else None for kill in kills],
        "broker_start_each_s": starts,
        "working_again_after_process_start_s": round(
            max((kill.broker_start_s + (kill.recovery_s or HANG_TIMEOUT_S) for kill in kills), default=0.0), 1
        ),
        "fault_effects": sum(kill.is_in_doubt for kill in kills),
        "aborted_records": history.aborted,
        "sessions": history.raw,
    }


def _measure_kill(
    stack: Stack, gate: GateProcess, backlog: Backlog, progress: Progress, downtime_s: float, rng: random.Random
) -> Kill:
    in_doubt = _count_in_doubt(gate)
    _kill_kafka(stack, backlog, progress, rng)
    on_progress(f"Kafka stays down for {downtime_s:g} s")
    time.sleep(downtime_s)
    probe = BrokerProbe(stack.settings.local.ports.kafka)
    stack.start("kafka")
    returned_at = probe.wait(BROKER_START_TIMEOUT_S)
    if returned_at is None:
        raise NotReadyError("start of Kafka failed: no response", f"see {stack.log_path('kafka')}")
    before = _wait_for_progress(progress)
    is_measured = before < backlog.sessions
    duration_s = progress.wait(lambda count: count > before, HANG_TIMEOUT_S) if is_measured else 0.0
    recovery_s = None if duration_s is None else round(time.monotonic() - returned_at, 1)
    if recovery_s is None:
        on_progress("the gate hangs; killing it")
        gate.kill()
        progress.wait(lambda count: count > before, PROGRESS_TIMEOUT_S)
    elif is_measured:
        on_progress(f"the gate commits again {recovery_s:g} s after the broker's first response")
    else:
        on_progress("no sessions were left at the broker's return: this kill is not measured")
    is_in_doubt = _count_in_doubt(gate) > in_doubt
    return Kill(downtime_s, round(returned_at - probe.started_at, 1), recovery_s, is_measured, is_in_doubt)


def _count_in_doubt(gate: GateProcess) -> int:
    return gate.count_lines(IN_DOUBT) + gate.count_lines(HANGING_COMMIT)


def _kill_kafka(stack: Stack, backlog: Backlog, progress: Progress, rng: random.Random) -> None:
    """Kill Kafka while the gate processes a backlog that outlasts the kill."""
    backlog.append(SESSIONS_AHEAD - (backlog.sessions - _wait_for_progress(progress)))
    now = _wait_for_progress(progress)
    goal = now + round((backlog.sessions - now) * rng.uniform(0.05, MAX_KILL_PROGRESS))
    if progress.wait(lambda count: count >= goal, PROGRESS_TIMEOUT_S) is None:
        on_progress("the gate made no progress before the kill")
    # A random delay, because committed offsets grow in steps: the kill must hit any phase of a transaction.
    time.sleep(rng.uniform(0, 0.5))
    stack.kill("kafka")
    stack.stop("kafka")


def _wait_for_progress(progress: Progress) -> int:
    """Wait for the sum of committed offsets and return it.

    Raises:
        NotReadyError: Kafka did not respond in time.
    """
    until = time.monotonic() + BROKER_START_TIMEOUT_S
    while (count := progress()) < 0:
        if time.monotonic() > until:
            raise NotReadyError("read of committed offsets failed: no response", "see Kafka's log")
    return count
