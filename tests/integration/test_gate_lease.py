"""The lease of a gate's index on a real Redis: no operation may change the lease of another process."""

import signal
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from include.contracts import redis_keys
from include.contracts.errors import TerminalError
from include.gate.lease import TTL_MS, IndexLease
from include.gate.shutdown import ShutdownSignal
from local.stack import Stack
from tests.gate_process import Reader, gate, produce
from tests.polling import eventually
from tests.sessions import encoded

INDEX = 5
KEY = redis_keys.gate_lease(INDEX)
OTHER = b"elsewhere:1:other"
OTHER_TTL_MS = 3_600_000
NO_PROCESS = 4_194_305
"""Above the greatest process id of Linux."""


@pytest.fixture
def client(stack: Stack) -> Iterator["redis.Redis"]:
    """Redis without a lease of INDEX."""
    with redis.Redis.from_url(stack.settings.redis.url.reveal()) as connected:
        connected.delete(KEY)
        yield connected
        connected.delete(KEY)


def assert_untouched(client: "redis.Redis") -> None:
    assert client.get(KEY) == OTHER
    assert client.pttl(KEY) > TTL_MS


def test_renew_with_expired_lease_restores_it(client: "redis.Redis") -> None:
    lease = IndexLease(client, INDEX, ShutdownSignal())
    lease.acquire()
    token = client.get(KEY)
    client.delete(KEY)
    lease.renew()
    assert client.get(KEY) == token
    assert 0 < client.pttl(KEY) <= TTL_MS


def test_renew_with_own_lease_extends_it(client: "redis.Redis") -> None:
    lease = IndexLease(client, INDEX, ShutdownSignal())
    lease.acquire()
    client.pexpire(KEY, TTL_MS // 2)
    lease.renew()
    assert client.pttl(KEY) > TTL_MS // 2


def test_renew_with_lease_of_another_leaves_it_untouched(client: "redis.Redis") -> None:
    lease = IndexLease(client, INDEX, ShutdownSignal())
    lease.acquire()
    client.set(KEY, OTHER, px=OTHER_TTL_MS)
    with pytest.raises(TerminalError, match="replaced by another process"):
        lease.renew()
    assert_untouched(client)


class _Hurried(redis.Redis):
    """A client that changes the lease's owner between any two calls of an operation."""

    changed = False

    def get(self, name: Any) -> Any:
        result = super().get(name)
        self.changed = bool(self.set(KEY, OTHER, px=OTHER_TTL_MS))
        return result


def test_release_during_owner_change_keeps_the_new_owner(client: "redis.Redis") -> None:
    hurried = _Hurried(connection_pool=client.connection_pool)
    lease = IndexLease(hurried, INDEX, ShutdownSignal())
    lease.acquire()
    lease.release()
    assert client.get(KEY) == (OTHER if hurried.changed else None)
    client.set(KEY, OTHER, px=OTHER_TTL_MS)
    lease.release()
    assert_untouched(client)


def test_acquire_takes_the_lease_of_a_dead_owner_only(client: "redis.Redis") -> None:
    hurried = _Hurried(connection_pool=client.connection_pool)
    client.set(KEY, f"{socket.gethostname()}:{NO_PROCESS}:dead", px=OTHER_TTL_MS)
    IndexLease(hurried, INDEX, ShutdownSignal()).acquire()
    assert not hurried.changed
    assert 0 < client.pttl(KEY) <= TTL_MS


def test_gate_with_lost_lease_ends_and_keeps_its_successor(stack: Stack) -> None:
    settings, reader = stack.settings, Reader(stack.settings)
    now = datetime.now(UTC).isoformat()

    def send(name: str) -> None:
        produce(settings, [encoded(session_id=name, user_id=name, started_at=now, ip=None)])
        eventually(lambda: name in reader.valid_ids(), within_s=60)

    with gate(settings, INDEX) as first:
        send("by the first")
        first.send_signal(signal.SIGSTOP)
        client = redis.Redis.from_url(settings.redis.url.reveal())
        client.delete(KEY)
        with gate(settings, INDEX) as second:
            send("by the second")
            owner = client.get(KEY)
            first.send_signal(signal.SIGCONT)
            _, stderr = first.communicate(timeout=30)
            assert first.returncode == 1
            assert stderr.splitlines()[-1].startswith("gate: gate 5 was replaced by another process")
            assert client.get(KEY) == owner
            send("by the second again")
            assert second.poll() is None
        client.close()
