"""One process per gate index: a lease in Redis, renewed with each heartbeat.

Kafka fences the older of two processes; a process manager would start it again, and it would fence the newer.
The lease refuses the newer one before it disturbs the older.
"""

import os
import secrets
import socket
import time
from typing import cast

import psutil
import redis

from include.contracts import keys
from include.contracts.errors import TerminalError
from include.gate.stop import Stop

TTL_MS = 10_000
RETRY_S = 0.5
RENEW = """
local owner = redis.call('get', KEYS[1])
if not owner then
    redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2])
elseif owner == ARGV[1] then
    redis.call('pexpire', KEYS[1], ARGV[2])
else
    return 0
end
return 1
"""
DELETE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
"""Each is one step for all other clients: between a read and a write of its own, a lease can change hands."""
HINT = "end the other process, or give this one another --index"


class IndexLease:
    """The lease of one index. Every method raises redis' own errors."""

    def __init__(self, client: "redis.Redis", index: int, stop: Stop) -> None:
        self._redis = client
        self._index = index
        self._key = keys.gate_lease(index)
        self._stop = stop
        self._host = socket.gethostname()
        self._token = f"{self._host}:{os.getpid()}:{secrets.token_hex(8)}"
        self._renew = client.register_script(RENEW)
        self._delete = client.register_script(DELETE)

    def acquire(self) -> None:
        """Take the lease, once its former owner is gone. Raises TerminalError where the owner lives."""
        renewals = 0
        seen_ms = 0
        until = time.monotonic() + TTL_MS / 1_000 + RETRY_S
        while not self._redis.set(self._key, self._token, nx=True, px=TTL_MS):
            owner = cast("bytes | None", self._redis.get(self._key))
            if owner is None:
                continue
            if owner.decode() == self._token:
                return self.renew()
            if self._is_gone(owner.decode()):
                self._delete(keys=[self._key], args=[owner])
                continue
            left_ms = self._redis.pttl(self._key)
            renewals += left_ms > seen_ms > 0
            seen_ms = left_ms
            if renewals > 1 or time.monotonic() > until:
                raise TerminalError(f"start of gate {self._index} failed: index in use by {owner.decode()}", HINT)
            self._stop.wait(RETRY_S)
        return None

    def renew(self) -> None:
        """Extend the lease, or take it again where it expired. Raises TerminalError where another process has it."""
        if not self._renew(keys=[self._key], args=[self._token, TTL_MS]):
            raise TerminalError(f"gate {self._index} was replaced by another process", HINT)

    def release(self) -> None:
        """Give the lease back."""
        self._delete(keys=[self._key], args=[self._token])

    def _is_gone(self, owner: str) -> bool:
        """Whether the owner ran on this host and is dead. Its id may have become this process's own."""
        host, _, rest = owner.partition(":")
        pid = int(rest.partition(":")[0] or 0)
        return host == self._host and (pid == os.getpid() or not psutil.pid_exists(pid))
