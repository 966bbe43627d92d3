"""`drill kafka`: Kafka is killed at random moments under a gate at full speed, and stays away for a while.

The clock of a kill starts with the broker's first answer after its return (drills/broker_probe.py) and ends with the
next commit of the gate. The gate always has sessions left, so that each kill measures a commit.
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
from drills.gate_process import GateProcess, log_gate_log_path, log_of
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
AWAY_S = (*[5.0] * 10, *[40.0] * 3, 150.0)
SHORT_AWAY_S = (5.0, 5.0)
SESSIONS_AHEAD = 200_000
FIRST_WAIT_S = 60.0
RETURN_LIMIT_S = 120.0
HUNG_S = 90.0
DRAIN_S = 240.0
MAX_DONE = 0.25
IN_DOUBT = "in doubt"
HANGING_COMMIT = "a commit hangs"
"""The gate ends with this line; its transaction is in doubt too."""
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
    """One kill.

    `broker_start_s`: from the start of Kafka's process to the broker's first answer. `working_again_s`: from that
    answer to the gate's next commit; None if the gate did not commit within the limit. `is_measured`: sessions were
    left at the broker's return, so that `working_again_s` is a commit. `is_in_doubt`: the gate logged a transaction
    in doubt.
    """

    away_s: float
    broker_start_s: float
    working_again_s: float | None
    is_measured: bool
    is_in_doubt: bool


def run(*, short: bool = False, seed: int = 1, checkout: Path = ROOT) -> str:
    """Do the drill; returns the JSON line. `checkout`: the folder whose gate is tried."""
    settings = Settings(
        local=LocalSettings(state_dir=Path(".showroom/drill"), port_offset=PORT_OFFSET),
        gate=GateSettings(pseudonym_key=Secret(KEY)),
    )
    unavailable = SHORT_AWAY_S if short else AWAY_S
    with empty_stack(settings) as stack:
        stack.up(["kafka", "redis"])
        backlog, rng = Backlog(settings, seed), random.Random(seed)
        with GateProcess(settings, log_of(settings, "kafka"), checkout) as gate:
            progress = Progress(settings)
            kills = [_kill(stack, gate, backlog, progress, seconds, rng) for seconds in unavailable]
            done = progress.wait(lambda count: count >= backlog.sessions, DRAIN_S)
            progress.close()
            starts, killed, hangs = gate.starts, gate.kills, gate.count_lines(HANGING_COMMIT)
        history = check_history(settings)
    figures = _figures(kills, history) | {
        "gate_starts": starts,
        "client_hangs": hangs,
        "red_before": red_before("kafka"),
    }
    figures["hung"] += done is None
    targets = TARGETS | {
        # The gate must not end by itself, but for a hang of its client library; the drill kills a gate that hangs.
        "gate_starts": ("at most", 1.0 + killed + hangs),
        "fault_effects": ("at least", float((len(kills) + 1) // 2)),
    }
    config = {"away_s": list(unavailable), "sessions_ahead": SESSIONS_AHEAD}
    result = report("kafka", figures=figures, targets=targets, seed=seed, config=config, folder=RESULTS)
    log_gate_log_path(settings, "kafka", result)
    return result


def red_before(name: str) -> Any:
    """What the same drill measured on an older gate, and how (drills/red_before.json)."""
    recorded: dict[str, Any] = msgspec.json.decode((FOLDER / "red_before.json").read_bytes())
    return recorded.get(name)


def _figures(kills: Sequence[Kill], history: History) -> dict[str, Any]:
    """The figures of all kills; without any measured one, `working_again_s` is infinite."""
    measured = [kill.working_again_s for kill in kills if kill.is_measured and kill.working_again_s is not None]
    starts = [kill.broker_start_s for kill in kills]
    return {
        "lost": history.lost,
        "duplicated": history.duplicated,
        "rejected": history.rejected,
        "hung": sum(kill.working_again_s is None for kill in kills),
        "unmeasured": sum(not kill.is_measured for kill in kills),
        "working_again_s": max(measured, default=float("inf")),
        "working_again_each_s": [kill.working_again_s if kill.is_measured else None for kill in kills],
        "broker_start_each_s": starts,
        "working_again_after_process_start_s": round(
            max((kill.broker_start_s + (kill.working_again_s or HUNG_S) for kill in kills), default=0.0), 1
        ),
        "fault_effects": sum(kill.is_in_doubt for kill in kills),
        "aborted_records": history.aborted,
        "sessions": history.raw,
    }


def _kill(
    stack: Stack, gate: GateProcess, backlog: Backlog, progress: Progress, away_s: float, rng: random.Random
) -> Kill:
    in_doubt = _count_in_doubt(gate)
    _inject(stack, backlog, progress, rng)
    on_progress(f"Kafka is away for {away_s:g} s")
    time.sleep(away_s)
    probe = BrokerProbe(stack.settings.local.ports.kafka)
    stack.start("kafka")
    returned_at = probe.wait(RETURN_LIMIT_S)
    if returned_at is None:
        raise NotReadyError("start of Kafka failed: no answer", f"see {stack.log_path('kafka')}")
    before = _first(progress)
    is_measured = before < backlog.sessions
    took = progress.wait(lambda count: count > before, HUNG_S) if is_measured else 0.0
    again_s = None if took is None else round(time.monotonic() - returned_at, 1)
    if again_s is None:
        on_progress("the gate hangs; it is killed")
        gate.kill()
        progress.wait(lambda count: count > before, FIRST_WAIT_S)
    elif is_measured:
        on_progress(f"the gate commits again {again_s:g} s after the broker's first answer")
    else:
        on_progress("nothing was left at the broker's return: this kill measures nothing")
    is_in_doubt = _count_in_doubt(gate) > in_doubt
    return Kill(away_s, round(returned_at - probe.started_at, 1), again_s, is_measured, is_in_doubt)


def _count_in_doubt(gate: GateProcess) -> int:
    return gate.count_lines(IN_DOUBT) + gate.count_lines(HANGING_COMMIT)


def _inject(stack: Stack, backlog: Backlog, progress: Progress, rng: random.Random) -> None:
    """Kill Kafka while the gate works on a backlog that outlasts the kill."""
    backlog.append(SESSIONS_AHEAD - (backlog.sessions - _first(progress)))
    now = _first(progress)
    goal = now + round((backlog.sessions - now) * rng.uniform(0.05, MAX_DONE))
    if progress.wait(lambda count: count >= goal, FIRST_WAIT_S) is None:
        on_progress("the gate does not work before the kill")
    # Commits come in steps; the moment within a transaction is random too.
    time.sleep(rng.uniform(0, 0.5))
    stack.kill("kafka")
    stack.stop("kafka")


def _first(progress: Progress) -> int:
    """Return the next sum that Kafka gives. Raises NotReadyError without one in time."""
    until = time.monotonic() + RETURN_LIMIT_S
    while (count := progress()) < 0:
        if time.monotonic() > until:
            raise NotReadyError("read committed offsets failed: no answer", "see Kafka's log")
    return count
