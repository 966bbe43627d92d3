"""The gate starts and runs while Redis responds but rejects writes: it waits, logs the cause and loses nothing."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from local.stack import Stack
from tests.gate_process import Reader, gate, produce
from tests.polling import eventually
from tests.sessions import encoded

NOW = datetime.now(UTC).isoformat()


def session(session_id: str) -> bytes:
    return encoded(session_id=session_id, user_id=session_id, started_at=NOW, ip=None)


@contextmanager
def refusing(client: "redis.Redis", code: str) -> Iterator[None]:
    """Make Redis reject writes with `code`."""
    name, value = {
        "OOM": ("maxmemory", "1"),
        "NOREPLICAS": ("min-replicas-to-write", "1"),
        "MISCONF": ("save", "86400 1"),
    }[code]
    before = str(client.config_get(name)[name])
    client.config_set(name, value)
    try:
        if code != "MISCONF":
            yield
            return
        with failing_snapshots(client):
            yield
    finally:
        client.config_set(name, before)


@contextmanager
def failing_snapshots(client: "redis.Redis") -> Iterator[None]:
    """Create a folder at the path of Redis' snapshot."""

    def snapshot(status: str) -> None:
        client.bgsave()
        eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == status)

    target = Path(str(client.config_get("dir")["dir"])) / str(client.config_get("dbfilename")["dbfilename"])
    target.unlink(missing_ok=True)
    (target / "blocker").mkdir(parents=True)
    try:
        snapshot("err")
        yield
    finally:
        shutil.rmtree(target)
        snapshot("ok")


@pytest.mark.parametrize("code", ["OOM", "NOREPLICAS", "MISCONF"])
def test_gate_with_redis_that_refuses_writes_waits_and_loses_nothing(stack: Stack, code: str) -> None:
    settings, reader = stack.settings, Reader(stack.settings)
    at_start, while_running = f"{code} at the start", f"{code} while running"
    with redis.Redis.from_url(settings.redis.url.reveal()) as client:

        def refusals() -> int:
            return int(client.info("errorstats").get(f"errorstat_{code}", {}).get("count", 0))

        def wait_refused(process: "subprocess.Popen[str]", more: int) -> None:
            goal = refusals() + more
            eventually(lambda: refusals() >= goal or process.poll() is not None, within_s=60)
            assert process.poll() is None

        produce(settings, [session(at_start)])
        with ExitStack() as cleanup:
            with refusing(client, code):
                process = cleanup.enter_context(gate(settings))
                wait_refused(process, 2)
            eventually(lambda: reader.valid_ids() == [at_start], within_s=60)
            with refusing(client, code):
                produce(settings, [session(while_running)])
                wait_refused(process, 3)
                assert reader.valid_ids() == [at_start]
            eventually(lambda: reader.valid_ids() == [at_start, while_running], within_s=60)
            process.send_signal(signal.SIGTERM)
            _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "waiting for redis" in stderr
    assert "waiting for kafka" not in stderr
