"""Redis filled to its memory limit for a minute, then freed; the gate is killed in between."""

import time

import redis

from drills.fault import InjectedFault
from include.contracts.errors import ShowroomError
from local.stack import Stack

FULL_S = 60.0
KILL_AFTER_S = 20.0
REFILL_S = 0.25
FILLER = "drill:filler"
LARGE, SMALL = 256 * 1024, 256
GATE = "gate-0"


class _Starts:
    """Processes of the gate since it was killed, seen from outside."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._pids: set[int] = set()
        self._killed: int | None = None

    def kill(self) -> None:
        """Kill -9; supervisord starts it again."""
        self._killed = self._stack.pid(GATE)
        self._stack.kill(GATE)

    def look(self) -> None:
        """Note the process that runs now, if one does."""
        try:
            self._pids.add(self._stack.pid(GATE))
        except ShowroomError:
            return

    def count(self) -> int:
        """Processes after the kill; a gate that ends by itself is started again, and counts again."""
        self.look()
        return len(self._pids - {self._killed})


def fill_redis(stack: Stack) -> InjectedFault:
    """Fill, kill the gate, stay full, free. The effects are the gate's calls that Redis refused before the kill."""
    starts = _Starts(stack)
    with redis.Redis.from_url(stack.settings.redis.url.reveal()) as client:
        before = _refused(client)
        written = _stay_full(client, _fill(client, LARGE, 0), KILL_AFTER_S)
        refused = _refused(client) - before
        starts.kill()
        written = _stay_full(client, written, FULL_S - KILL_AFTER_S, starts)
        for number in range(written):
            client.unlink(f"{FILLER}:{number}")
    return InjectedFault(effects=lambda: refused, figures=lambda: {"full_s": FULL_S, "gate_starts": starts.count()})


def _stay_full(client: "redis.Redis", written: int, seconds: float, starts: _Starts | None = None) -> int:
    """Write again what Redis frees meanwhile; returns the number of the next value."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        written = _fill(client, SMALL, written)
        if starts is not None:
            starts.look()
        time.sleep(REFILL_S)
    return written


def _fill(client: "redis.Redis", size: int, number: int) -> int:
    """Write values until Redis refuses one; returns the number of the next."""
    value = b"x" * size
    while True:
        try:
            client.set(f"{FILLER}:{number}", value)
        except redis.exceptions.OutOfMemoryError:
            return number
        number += 1


def _refused(client: "redis.Redis") -> int:
    """Function calls, all of them the gate's, that Redis has refused or failed."""
    calls = client.info("commandstats").get("cmdstat_fcall", {})
    return int(calls.get("rejected_calls", 0)) + int(calls.get("failed_calls", 0))
