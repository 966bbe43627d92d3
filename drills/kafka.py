"""`drill kafka`: Kafka is killed at random moments under a gate at full speed, and stays away for a while."""

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchmarks.bench_stack import empty_stack, say
from benchmarks.result import report
from drills.backlog import Backlog
from drills.gate_process import GateProcess
from drills.origins import check_history
from drills.progress import Progress
from include.contracts.settings import Secret, Settings
from include.local.project import ROOT
from include.local.stack import Stack

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
PORT_OFFSET = 2_500
KEY = "a key for drills only, never used elsewhere"
AWAY_S = (*[5.0] * 10, *[40.0] * 3, 150.0)
SHORT_AWAY_S = (5.0, 5.0)
SESSIONS_PER_KILL = 40_000
FIRST_WAIT_S = 60.0
HUNG_S = 90.0
DRAIN_S = 240.0
MAX_DONE = 0.7
IN_DOUBT = "in doubt"
TARGETS = {
    "lost": ("at most", 0.0),
    "duplicated": ("at most", 0.0),
    "hung": ("at most", 0.0),
    "working_again_s": ("at most", 15.0),
    "fault_effects": ("at least", 1.0),
}


class Kill(NamedTuple):
    """One kill: how long Kafka was away, and when the gate committed again after its return (None: it hung)."""

    away_s: float
    working_again_s: float | None


def run(*, short: bool = False, seed: int = 1, checkout: Path = ROOT) -> str:
    """Do the drill; returns the JSON line. `checkout`: the folder whose gate is tried."""
    settings = Settings(state_dir=Path(".showroom/drill"), port_offset=PORT_OFFSET, pseudonym_key=Secret(KEY))
    away = SHORT_AWAY_S if short else AWAY_S
    with empty_stack(settings) as stack:
        stack.up(["kafka", "redis"])
        backlog, rng = Backlog(settings, seed), random.Random(seed)
        with GateProcess(settings, stack.layout.log / "drill-gate.log", checkout) as gate:
            progress = Progress(settings)
            kills = [_kill(stack, gate, backlog, progress, seconds, rng) for seconds in away]
            done = progress.wait(lambda count: count >= backlog.sessions, DRAIN_S)
            progress.close()
            effects, starts = gate.count_lines(IN_DOUBT), gate.starts
        history = check_history(settings)
    figures: dict[str, Any] = {
        "lost": history.lost,
        "duplicated": history.duplicated,
        "hung": sum(kill.working_again_s is None for kill in kills) + (done is None),
        "working_again_s": max((kill.working_again_s or 0.0 for kill in kills), default=0.0),
        "working_again_each_s": [kill.working_again_s for kill in kills],
        "fault_effects": effects,
        "aborted_records": history.aborted,
        "gate_starts": starts,
        "sessions": history.raw,
        "red_before": red_before("kafka"),
    }
    config = {"away_s": list(away), "sessions_per_kill": SESSIONS_PER_KILL}
    return report("kafka", figures=figures, targets=TARGETS, seed=seed, config=config, folder=RESULTS)


def red_before(name: str) -> Any:
    """What the same drill measured on an older gate, and how (drills/red_before.json)."""
    recorded: dict[str, Any] = msgspec.json.decode((FOLDER / "red_before.json").read_bytes())
    return recorded.get(name)


def _kill(
    stack: Stack, gate: GateProcess, backlog: Backlog, progress: Progress, away_s: float, rng: random.Random
) -> Kill:
    done = backlog.sessions
    backlog.append(SESSIONS_PER_KILL)
    goal = done + round(SESSIONS_PER_KILL * rng.uniform(0.05, MAX_DONE))
    if progress.wait(lambda count: count >= goal, FIRST_WAIT_S) is None:
        say("the gate does not work before the kill")
    # Commits come in steps; the moment within a transaction is random too.
    time.sleep(rng.uniform(0, 0.5))
    stack.kill("kafka")
    stack.stop("kafka")
    say(f"Kafka is away for {away_s:g} s")
    time.sleep(away_s)
    stack.start("kafka")
    stack.wait(["kafka"])
    began = time.monotonic()
    before = _first(progress)
    took = progress.wait(lambda count: count > before or before >= backlog.sessions, HUNG_S)
    if took is None:
        say("the gate hangs; it is killed")
        gate.kill()
        progress.wait(lambda count: count > before, FIRST_WAIT_S)
        return Kill(away_s, None)
    again_s = round(time.monotonic() - began, 1)
    say(f"the gate commits again after {again_s:g} s")
    return Kill(away_s, again_s)


def _first(progress: Progress) -> int:
    """The first sum that Kafka gives after its return."""
    found: Sequence[int] = ()
    while not found:
        count = progress()
        found = (count,) if count >= 0 else ()
    return found[0]
