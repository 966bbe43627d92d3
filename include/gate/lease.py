"""One process per gate index: a lease in Redis, renewed with each heartbeat.

Kafka fences the older of two processes. A process manager would restart it, and it would fence the newer one. The lease
rejects the newer process before it disturbs the older one.
"""

import os
import secrets
import socket
import time

import psutil
import redis

from include.contracts import redis_keys
from include.contracts.errors import TerminalError
from include.gate.shutdown import ShutdownSignal

TTL_MS = 10_000
RETRY_S = 0.5
HINT = "end the other process, or give this one another --index"


ACQUIRE = """
local owner = redis.call('GET', KEYS[1])
if not owner then
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    return ARGV[1]
end
if owner == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return owner
"""
"""Take a free lease or extend the own one; return the owner."""
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class IndexLease:
    """The lease of one index: each change is one atomic script. Every method raises redis' own errors."""

    def __init__(self, client: "redis.Redis", index: int, stop: ShutdownSignal) -> None:
        self._redis = client
        self._acquire_script = client.register_script(ACQUIRE)
        self._release_script = client.register_script(RELEASE)
        self._index = index
        self._key = redis_keys.gate_lease(index)
        self._stop = stop
        self._host = socket.gethostname()
        self._token = f"{self._host}:{os.getpid()}:{secrets.token_hex(8)}"

    def acquire(self) -> None:
        """Take the lease once its former owner has ended. Raises TerminalError if the owner is alive."""
        renewals = 0
        seen_ms = 0
        until = time.monotonic() + TTL_MS / 1_000 + RETRY_S
        while (owner := self._acquire_or_extend()) != self._token:
            if self._is_gone(owner):
                self._drop(owner)
                continue
            left_ms = self._redis.pttl(self._key)
            renewals += left_ms > seen_ms > 0
            seen_ms = left_ms
            if renewals > 1 or time.monotonic() > until:
                raise TerminalError(f"start of gate {self._index} failed: index in use by {owner}", HINT)
            self._stop.wait(RETRY_S)

    def renew(self) -> None:
        """Extend the lease, or take it again if it expired. Raises TerminalError if another process took it."""
        if self._acquire_or_extend() != self._token:
            raise TerminalError(f"gate {self._index} was replaced by another process", HINT)

    def release(self) -> None:
        """Release the lease unless another process has it."""
        self._drop(self._token)

    def _acquire_or_extend(self) -> str:
        owner: bytes = self._acquire_script(keys=[self._key], args=[self._token, TTL_MS])
        return owner.decode()

    def _drop(self, owner: str) -> None:
        """Remove the lease if it still belongs to this owner."""
        self._release_script(keys=[self._key], args=[owner])

    def _is_gone(self, owner: str) -> bool:
        """Return whether the owner ran on this host and has ended. Its id may have become this process's own."""
        host, _, rest = owner.partition(":")
        pid = int(rest.partition(":")[0] or 0)
        return host == self._host and (pid == os.getpid() or not psutil.pid_exists(pid))
