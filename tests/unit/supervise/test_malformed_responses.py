"""Malformed, slow and failed responses: each part is unavailable, and the supervisor neither hangs nor restarts."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import pytest

from include.clients.flink import FlinkRest
from include.contracts.errors import TerminalError, TransientError
from include.contracts.setting import Secret
from include.contracts.settings import (
    ElasticsearchSettings,
    FlinkSettings,
    KafkaSettings,
    MongodbSettings,
    RedisSettings,
    Settings,
)
from include.supervise.observation import RestoreState
from include.supervise.policy import Limits, decide
from include.supervise.probes import DEADLINE_S, observe

Manner = Literal["html", "text", "list", "object", "null", "broken", "error", "unavailable", "silent", "drip", "hangup"]
BODIES: dict[str, bytes] = {
    "html": b"<html>a proxy's page</html>",
    "text": b"\xff\xfe\x00 no JSON",
    "list": b"[1, null]",
    "object": b"{}",
    "null": b"null",
    "broken": b'{"jobs": [{"jid": "j1"',
}
STATUS = {"error": 500, "unavailable": 503}
SHORT_TIMEOUT_S = 0.3
# How much longer than its deadline an observation may take on a busy machine.
MARGIN_S = 5.0


class MalformedServer(ThreadingHTTPServer):
    """Respond to every request in one manner; `stopped` ends pending responses."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.manner: Manner = "object"
        self.stopped = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: MalformedServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _handle(self) -> None:
        manner = self.server.manner
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if manner == "silent":
            self.server.stopped.wait()
        if manner in ("silent", "hangup"):
            self.close_connection = True
            return
        body = b" " * 10_000 if manner == "drip" else BODIES.get(manner, b"Caused by: java.Boom: why")
        self.send_response(STATUS.get(manner, 200))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        for start in range(0, len(body), 1 if manner == "drip" else len(body)):
            self.wfile.write(body[start : start + 1] if manner == "drip" else body)
            if manner == "drip" and self.server.stopped.wait(0.1):
                return

    do_GET = do_POST = do_PATCH = _handle


@pytest.fixture
def server() -> Iterator[MalformedServer]:
    with MalformedServer() as malformed:
        thread = threading.Thread(target=malformed.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield malformed
        malformed.stopped.set()
        malformed.shutdown()
        thread.join()


def settings_at(address: str) -> Settings:
    return Settings(
        kafka=KafkaSettings(bootstrap_servers=address, partitions=2),
        redis=RedisSettings(url=Secret(f"redis://{address}/0")),
        elasticsearch=ElasticsearchSettings(url=f"http://{address}"),
        flink=FlinkSettings(url=f"http://{address}"),
        mongodb=MongodbSettings(url=Secret(f"mongodb://{address}")),
    )


@pytest.mark.parametrize("manner", ["html", "object", "error", "silent", "drip"])
def test_observe_malformed_servers_is_unavailable_within_the_deadline(
    server: MalformedServer, tmp_path: Path, manner: Manner
) -> None:
    server.manner = manner
    settings = settings_at(server.address)
    began = time.monotonic()
    seen = observe(settings, state=tmp_path)
    assert time.monotonic() - began < DEADLINE_S + MARGIN_S
    assert seen.unavailable.keys() == {"flink", "kafka", "gate", "elasticsearch", "archive"}, seen
    assert all(reason and "\n" not in reason for reason in seen.unavailable.values())
    assert seen.restore == RestoreState(None)
    decision = decide(seen, (), (), Limits.of(settings.supervise), time.time())
    assert decision.action == "wait"
    assert decision.alert == "flink.unreachable"


CALLS: dict[str, Callable[[FlinkRest], object]] = {
    "taskmanagers": lambda flink: flink.taskmanagers(),
    "jobs": lambda flink: flink.jobs(),
    "job": lambda flink: flink.job("j"),
    "checkpoints": lambda flink: flink.checkpoints("j"),
    "metrics": lambda flink: flink.metrics("j", ["numRestarts"]),
    "jars": lambda flink: flink.ensure_jar(Path(__file__)),
    "run": lambda flink: flink.run("jar", {}),
    "stop": lambda flink: flink.start_stop("j"),
    "stop result": lambda flink: flink.stop_result("j", "r"),
}
COMMANDS = ("run", "stop")


@pytest.mark.parametrize("manner", [*BODIES, "error", "unavailable", "hangup"])
@pytest.mark.parametrize("call", CALLS)
def test_flink_rest_with_a_malformed_response_raises_the_project_error(
    server: MalformedServer, manner: Manner, call: str
) -> None:
    server.manner = manner
    # Flink responds 500 to a command that it refuses.
    is_refused = manner == "error" and call in COMMANDS
    with (
        FlinkRest(settings_at(server.address).flink) as flink,
        pytest.raises(TerminalError if is_refused else TransientError),
    ):
        CALLS[call](flink)


def test_flink_rest_without_a_response_raises_after_the_timeout(server: MalformedServer) -> None:
    server.manner = "silent"
    with (
        FlinkRest(settings_at(server.address).flink, timeout_s=SHORT_TIMEOUT_S) as flink,
        pytest.raises(TransientError, match="ReadTimeout"),
    ):
        flink.jobs()
