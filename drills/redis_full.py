"""Fault: Redis at its memory limit for a minute. The gate is killed meanwhile."""

import time

import redis

from drills.fault import InjectedFault
from include.contracts.errors import ShowroomError
from local.stack import Stack

FULL_DURATION_S = 60.0
KILL_AFTER_S = 20.0
REFILL_INTERVAL_S = 0.25
FILLER = "drill:filler"
LARGE_VALUE_BYTES, SMALL_VALUE_BYTES = 256 * 1024, 256
GATE = "gate-0"


class _GateStarts:
    """Counter of the gate's processes since its kill."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._pids: set[int] = set()
        self._killed_pid: int | None = None

    def kill(self) -> None:
        """Kill the gate with SIGKILL; supervisord restarts it."""
        self._killed_pid = self._stack.pid(GATE)
        self._stack.kill(GATE)

    def record_pid(self) -> None:
        """Record the pid of the running process, if there is one."""
        try:
            self._pids.add(self._stack.pid(GATE))
        except ShowroomError:
            return

    def count(self) -> int:
        """Return the number of processes since the kill. A gate that exits is restarted and counted again."""
        self.record_pid()
        return len(self._pids - {self._killed_pid})


def fill_redis(stack: Stack) -> InjectedFault:
    """Fill Redis for a minute, kill the gate meanwhile, then free Redis.

    The effects are rejected calls before the kill.
    """
    starts = _GateStarts(stack)
    with redis.Redis.from_url(stack.settings.redis.url.reveal()) as client:
        before = _count_rejected_calls(client)
        written = _fill_repeatedly(client, _fill_until_rejected(client, LARGE_VALUE_BYTES, 0), KILL_AFTER_S)
        rejected_calls = _count_rejected_calls(client) - before
        starts.kill()
        written = _fill_repeatedly(client, written, FULL_DURATION_S - KILL_AFTER_S, starts)
        for number in range(written):
            client.unlink(f"{FILLER}:{number}")
    return InjectedFault(
        effects=lambda: rejected_calls, metrics=lambda: {"full_s": FULL_DURATION_S, "gate_starts": starts.count()}
    )


def _fill_repeatedly(client: "redis.Redis", written: int, seconds: float, starts: _GateStarts | None = None) -> int:
    """Refill the memory that Redis frees meanwhile; return the number of the next value."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        written = _fill_until_rejected(client, SMALL_VALUE_BYTES, written)
        if starts is not None:
            starts.record_pid()
        time.sleep(REFILL_INTERVAL_S)
    return written


def _fill_until_rejected(client: "redis.Redis", size: int, number: int) -> int:
    """Write values until Redis rejects one; return the number of the next value."""
    value = b"x" * size
    while True:
        try:
            client.set(f"{FILLER}:{number}", value)
        except redis.exceptions.OutOfMemoryError:
            return number
        number += 1


def _count_rejected_calls(client: "redis.Redis") -> int:
    """Return the number of rejected or failed function calls, all of which are the gate's."""
    calls = client.info("commandstats").get("cmdstat_fcall", {})
    return int(calls.get("rejected_calls", 0)) + int(calls.get("failed_calls", 0))
