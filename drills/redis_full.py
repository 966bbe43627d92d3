"""Redis filled to its memory limit for a minute, then freed."""

import time

import redis

from drills.fault import Struck
from include.local.stack import Stack

FULL_S = 60.0
REFILL_S = 0.25
FILLER = "drill:filler"
LARGE, SMALL = 256 * 1024, 256


def fill_redis(stack: Stack) -> Struck:
    """Fill, stay full, free. The effects are the gate's calls that Redis refused meanwhile."""
    with redis.Redis.from_url(stack.settings.redis_url.reveal()) as client:
        before = _refused(client)
        written = _fill(client, LARGE, 0)
        until = time.monotonic() + FULL_S
        while time.monotonic() < until:
            written = _fill(client, SMALL, written)
            time.sleep(REFILL_S)
        refused = _refused(client) - before
        for number in range(written):
            client.unlink(f"{FILLER}:{number}")
    return Struck(effects=lambda: refused, figures=lambda: {"full_s": FULL_S})


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
