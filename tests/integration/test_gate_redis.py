"""A gate whose Redis refuses writes, and the lease that keeps a second process of one index away."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import redis

from include.contracts import keys
from include.contracts.errors import TerminalError
from include.contracts.settings import Settings
from include.gate.lease import TTL_MS, IndexLease
from include.gate.process import MAX_FENCES
from include.gate.sink import TransactionSink
from include.gate.stop import Stop
from include.local.stack import Stack
from tests.gate_process import Reader, gate, produce
from tests.integration.test_gate_faults import session
from tests.polling import eventually

INDEX = 7
OTHER = b"elsewhere:1:feed"
BLOCKERS = {"full": ("maxmemory", "1"), "without replicas": ("min-replicas-to-write", "1")}


@pytest.fixture
def client(stack: Stack) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(stack.settings.redis_url.reveal()) as connected:
        connected.delete(keys.gate_lease(INDEX))
        yield connected
        connected.delete(keys.gate_lease(INDEX))


def lease(client: "redis.Redis") -> IndexLease:
    return IndexLease(client, INDEX, Stop())


@contextmanager
def refusing(client: "redis.Redis", option: str, value: str) -> Iterator[None]:
    """Redis refuses writes for the time of the block."""
    before = str(client.config_get(option)[option])
    client.config_set(option, value)
    try:
        yield
    finally:
        client.config_set(option, before)


@contextmanager
def watched(settings: Settings) -> Iterator[tuple[list[str], "subprocess.Popen[str]"]]:
    """A gate process and the lines that it has logged so far."""
    with gate(settings, INDEX) as process:
        lines: list[str] = []

        def collect() -> None:
            assert process.stderr is not None
            for line in process.stderr:
                lines.append(line)

        reading = threading.Thread(target=collect, daemon=True)
        reading.start()
        yield lines, process
        process.kill()
        reading.join()


def count(lines: list[str], text: str) -> int:
    return sum(text in line for line in lines)


def is_ready(lines: list[str], times: int) -> bool:
    return count(lines, "gate-7 ready") == times


def says(lines: list[str], text: str) -> bool:
    return count(lines, text) > 0


@pytest.mark.parametrize("blocker", BLOCKERS)
def test_gate_started_while_redis_refuses_writes_waits(client: "redis.Redis", stack: Stack, blocker: str) -> None:
    reader = Reader(stack.settings)
    produce(stack.settings, [session(f"started while {blocker}")])
    with refusing(client, *BLOCKERS[blocker]), watched(stack.settings) as (lines, process):
        eventually(lambda: says(lines, "waiting for redis"))
        assert process.poll() is None
        client.config_set(BLOCKERS[blocker][0], "0")
        eventually(lambda: f"started while {blocker}" in reader.valid_ids(), within_s=60)


@pytest.mark.parametrize("blocker", BLOCKERS)
def test_running_gate_waits_while_redis_refuses_writes(client: "redis.Redis", stack: Stack, blocker: str) -> None:
    reader = Reader(stack.settings)
    with watched(stack.settings) as (lines, process):
        eventually(lambda: says(lines, "ready"), within_s=60)
        with refusing(client, *BLOCKERS[blocker]):
            produce(stack.settings, [session(f"while {blocker}")])
            eventually(lambda: says(lines, "waiting for redis"))
        eventually(lambda: f"while {blocker}" in reader.valid_ids(), within_s=60)
        assert process.poll() is None


def test_fenced_gate_with_its_lease_goes_on(client: "redis.Redis", stack: Stack) -> None:
    """A discarded producer's late request looks like this."""
    reader = Reader(stack.settings)
    with watched(stack.settings) as (lines, process):
        eventually(lambda: says(lines, "ready"), within_s=60)
        TransactionSink(stack.settings.kafka_bootstrap, f"gate-{INDEX}").open()
        produce(stack.settings, [session("behind the fence")])
        eventually(lambda: "behind the fence" in reader.valid_ids(), within_s=60)
        assert says(lines, "fenced off while the lease is held")
        assert process.poll() is None
    assert reader.valid_ids() == ["behind the fence"]


def test_gate_that_is_fenced_again_and_again_ends_with_one_line(client: "redis.Redis", stack: Stack) -> None:
    """Two processes with one Kafka and a Redis each."""
    with watched(stack.settings) as (lines, process):
        for number in range(MAX_FENCES):
            eventually(partial(is_ready, lines, number + 1), within_s=60)
            TransactionSink(stack.settings.kafka_bootstrap, f"gate-{INDEX}").open()
            produce(stack.settings, [session(f"fence {number}")])
        process.wait(timeout=30)
    assert process.returncode == 1
    assert lines[-1].startswith(f"gate: gate-{INDEX} was fenced off {MAX_FENCES} times within 60 s: end the process")


def test_gate_whose_lease_another_process_took_ends_and_leaves_it(client: "redis.Redis", stack: Stack) -> None:
    with watched(stack.settings) as (lines, process):
        eventually(lambda: says(lines, "ready"), within_s=60)
        client.set(keys.gate_lease(INDEX), OTHER, px=60_000)
        process.wait(timeout=30)
    assert process.returncode == 1
    assert lines[-1].startswith(f"gate: gate {INDEX} was replaced by another process")
    assert client.get(keys.gate_lease(INDEX)) == OTHER


def test_renewal_of_an_expired_lease_takes_it_again(client: "redis.Redis") -> None:
    own = lease(client)
    own.acquire()
    client.delete(keys.gate_lease(INDEX))
    own.renew()
    assert 0 < client.pttl(keys.gate_lease(INDEX)) <= TTL_MS


def test_renewal_of_another_process_s_lease_leaves_it_alone(client: "redis.Redis") -> None:
    own = lease(client)
    own.acquire()
    client.set(keys.gate_lease(INDEX), OTHER, px=60_000)
    with pytest.raises(TerminalError, match="replaced by another process"):
        own.renew()
    own.release()
    assert client.get(keys.gate_lease(INDEX)) == OTHER
    assert client.pttl(keys.gate_lease(INDEX)) > TTL_MS


def test_release_gives_the_own_lease_back(client: "redis.Redis") -> None:
    own = lease(client)
    own.acquire()
    own.release()
    assert client.get(keys.gate_lease(INDEX)) is None
