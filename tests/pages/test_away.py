"""The pages where servers are away, slow or busy: each says what it is and what to do, and none fails."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from include.contracts.errors import SettingsError
from include.contracts.settings import Secret, Settings
from include.serving import panels
from showroom.pages.sources import Sources
from tests.pages.sample import browser

NOWHERE = "127.0.0.1:9"


def at(elasticsearch_url: str) -> TestClient:
    settings = Settings(
        state_dir=Path(".showroom/nowhere"),
        kafka_bootstrap=NOWHERE,
        redis_url=Secret(f"redis://{NOWHERE}/0"),
        elasticsearch_url=elasticsearch_url,
        flink_url=f"http://{NOWHERE}",
        mongo_url=Secret(f"mongodb://{NOWHERE}"),
    )
    return browser(lambda: Sources(settings))


@pytest.fixture
def nowhere() -> TestClient:
    return at(f"http://{NOWHERE}")


@contextmanager
def elasticsearch(code: int, content: bytes, wait_s: float = 0.0) -> Iterator[str]:
    """A server that answers everything alike."""
    leave = threading.Event()

    class Alike(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            leave.wait(wait_s)
            self.send_response(code)
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Type", "application/vnd.elasticsearch+json;compatible-with=8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Alike)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        leave.set()
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("address", ["panel/shop-metric", "panel/shop-bar", "about"])
def test_a_figure_names_elasticsearch(nowhere: TestClient, address: str) -> None:
    assert nowhere.get("/live").status_code == 200
    answer = nowhere.get(f"/live/{address}")
    assert (answer.status_code, answer.json()["state"], answer.json()["source"]) == (503, "away", "Elasticsearch")
    assert "./showroom status" in answer.json()["remedy"]


@pytest.mark.parametrize(
    ("code", "reason", "status", "state"),
    [
        (429, "es_rejected_execution_exception", 503, "away"),
        (503, "no_shard_available_action_exception", 503, "away"),
        (400, "search_phase_execution_exception", 502, "refused"),
    ],
)
def test_what_elasticsearch_says_is_passed_on(code: int, reason: str, status: int, state: str) -> None:
    content = f'{{"error": {{"type": "{reason}", "reason": "no"}}, "status": {code}}}'.encode()
    with elasticsearch(code, content) as url:
        answer = at(url).get("/live/panel/shop-bar")
    assert (answer.status_code, answer.json()["state"]) == (status, state)
    assert f"returned {code} {reason}" in answer.json()["message"]


def test_a_slow_elasticsearch_is_not_waited_for_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panels, "TIMEOUT_S", 0.4)
    with elasticsearch(200, b"{}", wait_s=30.0) as url:
        began = time.monotonic()
        answer = at(url).get("/live/panel/shop-bar")
        assert time.monotonic() - began < 5.0
    assert answer.status_code == 503
    assert "is unavailable" in answer.json()["message"]


def test_the_stream_page_names_what_is_away_and_shows_the_rest(nowhere: TestClient) -> None:
    answer = nowhere.get("/stream")
    assert answer.status_code == 200
    for name in ("Redis is away", "MongoDB is away", "Kafka is away", "Reconciliation", "Rejected records"):
        assert name in answer.text


def test_wrong_settings_are_said_and_do_not_break_airflow() -> None:
    def refuse() -> Sources:
        raise SettingsError("SHOWROOM_COLOUR is <unknown>", "see docs/contracts.md")

    for address in ("/live", "/stream"):
        answer = browser(refuse).get(address)
        assert answer.status_code == 200
        assert "SHOWROOM_COLOUR is &lt;unknown&gt;" in answer.text


def test_only_own_files_are_served(nowhere: TestClient) -> None:
    assert nowhere.get("/static/page.js").status_code == 200
    assert nowhere.get("/static/plotly.min.js").headers["cache-control"].endswith("immutable")
    for address in ("/static/app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/docs", "/openapi.json"):
        assert nowhere.get(address).status_code == 404
