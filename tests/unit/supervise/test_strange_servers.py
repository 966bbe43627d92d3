"""Servers that answer nonsense, slowly or with an error: each part is away, and nothing hangs or acts."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import pytest

from include.clients.flink import FlinkRest
from include.contracts.errors import TerminalError, TransientError
from include.contracts.settings import Secret, Settings
from include.supervise.observation import Restore
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
QUICK_S = 0.3
# What the look may take beyond its deadline on a machine that is busy.
SLACK_S = 5.0


class Strange(ThreadingHTTPServer):
    """Answers everything in one manner; `over` ends what still waits."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.manner: Manner = "object"
        self.over = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Strange
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _handle(self) -> None:
        manner = self.server.manner
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if manner == "silent":
            self.server.over.wait()
        if manner in ("silent", "hangup"):
            self.close_connection = True
            return
        body = b" " * 10_000 if manner == "drip" else BODIES.get(manner, b"Caused by: java.Boom: why")
        self.send_response(STATUS.get(manner, 200))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        for start in range(0, len(body), 1 if manner == "drip" else len(body)):
            self.wfile.write(body[start : start + 1] if manner == "drip" else body)
            if manner == "drip" and self.server.over.wait(0.1):
                return

    do_GET = do_POST = do_PATCH = _handle


@pytest.fixture
def strange() -> Iterator[Strange]:
    with Strange() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


def everything_at(place: str) -> Settings:
    return Settings(
        kafka_bootstrap=place,
        redis_url=Secret(f"redis://{place}/0"),
        elasticsearch_url=f"http://{place}",
        flink_url=f"http://{place}",
        mongo_url=Secret(f"mongodb://{place}"),
        partitions=2,
    )


@pytest.mark.parametrize("manner", ["html", "object", "error", "silent", "drip"])
def test_a_look_ends_in_time_and_knows_nothing(strange: Strange, tmp_path: Path, manner: Manner) -> None:
    strange.manner = manner
    settings = everything_at(strange.place)
    began = time.monotonic()
    seen = observe(settings, state=tmp_path)
    assert time.monotonic() - began < DEADLINE_S + SLACK_S
    assert seen.unknown.keys() == {"flink", "kafka", "gate", "elasticsearch", "archive"}, seen
    assert all(reason and "\n" not in reason for reason in seen.unknown.values())
    assert seen.restore == Restore(None)
    decision = decide(seen, (), (), Limits.of(settings), time.time())
    assert decision.action == "wait"
    assert decision.alarm == "stream.no_cluster"


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
ORDERS = ("run", "stop")


@pytest.mark.parametrize("manner", [*BODIES, "error", "unavailable", "hangup"])
@pytest.mark.parametrize("call", CALLS)
def test_what_is_not_flink_is_an_error_of_ours(strange: Strange, manner: Manner, call: str) -> None:
    strange.manner = manner
    # Flink answers 500 to an order it refuses.
    refused = manner == "error" and call in ORDERS
    with FlinkRest(everything_at(strange.place)) as flink, pytest.raises(TerminalError if refused else TransientError):
        CALLS[call](flink)


def test_a_silent_flink_is_given_up_after_the_timeout(strange: Strange) -> None:
    strange.manner = "silent"
    with (
        FlinkRest(everything_at(strange.place), timeout_s=QUICK_S) as flink,
        pytest.raises(TransientError, match="ReadTimeout"),
    ):
        flink.jobs()
