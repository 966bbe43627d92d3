"""The pages with unavailable, slow and overloaded servers: each error is shown with its remedy."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from include.contracts.errors import SettingsError
from include.contracts.setting import Secret
from include.contracts.settings import (
    ElasticsearchSettings,
    FlinkSettings,
    KafkaSettings,
    LocalSettings,
    MongodbSettings,
    RedisSettings,
    Settings,
)
from include.dashboards import panels
from showroom.web.data_sources import DataSources
from tests.pages.factories import logged_in_client

CLOSED_PORT = "127.0.0.1:9"


def client_of(elasticsearch_url: str) -> TestClient:
    settings = Settings(
        local=LocalSettings(state_dir=Path(".showroom/missing")),
        kafka=KafkaSettings(bootstrap_servers=CLOSED_PORT),
        redis=RedisSettings(url=Secret(f"redis://{CLOSED_PORT}/0")),
        elasticsearch=ElasticsearchSettings(url=elasticsearch_url),
        flink=FlinkSettings(url=f"http://{CLOSED_PORT}"),
        mongodb=MongodbSettings(url=Secret(f"mongodb://{CLOSED_PORT}")),
    )
    return logged_in_client(lambda: DataSources(settings))


@pytest.fixture
def disconnected() -> TestClient:
    return client_of(f"http://{CLOSED_PORT}")


@contextmanager
def elasticsearch(code: int, content: bytes, wait_s: float = 0.0) -> Iterator[str]:
    """Run a server that returns the same response to every request."""
    is_released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            is_released.wait(wait_s)
            self.send_response(code)
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Type", "application/vnd.elasticsearch+json;compatible-with=8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        is_released.set()
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("address", ["panel/shop-metric", "panel/shop-bar", "overview"])
def test_panel_without_elasticsearch_names_the_source(disconnected: TestClient, address: str) -> None:
    assert disconnected.get("/live").status_code == 200
    response = disconnected.get(f"/live/{address}")
    assert (response.status_code, response.json()["state"], response.json()["source"]) == (
        503,
        "unavailable",
        "Elasticsearch",
    )
    assert "./showroom status" in response.json()["remedy"]


@pytest.mark.parametrize(
    ("code", "reason", "status", "state"),
    [
        (429, "es_rejected_execution_exception", 503, "unavailable"),
        (503, "no_shard_available_action_exception", 503, "unavailable"),
        (400, "search_phase_execution_exception", 502, "error"),
    ],
)
def test_panel_elasticsearch_error_is_in_the_message(code: int, reason: str, status: int, state: str) -> None:
    content = f'{{"error": {{"type": "{reason}", "reason": "no"}}, "status": {code}}}'.encode()
    with elasticsearch(code, content) as url:
        response = client_of(url).get("/live/panel/shop-bar")
    assert (response.status_code, response.json()["state"]) == (status, state)
    assert f"returned {code} {reason}" in response.json()["message"]


def test_panel_slow_elasticsearch_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panels, "TIMEOUT_S", 0.4)
    with elasticsearch(200, b"{}", wait_s=30.0) as url:
        start = time.monotonic()
        response = client_of(url).get("/live/panel/shop-bar")
        assert time.monotonic() - start < 5.0
    assert response.status_code == 503
    assert "is unavailable" in response.json()["message"]


def test_stream_page_names_unavailable_sources_and_shows_the_others(disconnected: TestClient) -> None:
    response = disconnected.get("/stream")
    assert response.status_code == 200
    for name in (
        "Redis is unavailable",
        "MongoDB is unavailable",
        "Kafka is unavailable",
        "Reconciliation",
        "Rejected records",
    ):
        assert name in response.text


def test_pages_invalid_settings_are_shown_as_an_error() -> None:
    def fail() -> DataSources:
        raise SettingsError("SHOWROOM_COLOUR is <unknown>", "see docs/settings.md")

    for address in ("/live", "/stream"):
        response = logged_in_client(fail).get(address)
        assert response.status_code == 200
        assert "SHOWROOM_COLOUR is &lt;unknown&gt;" in response.text


def test_static_serves_only_known_files(disconnected: TestClient) -> None:
    assert disconnected.get("/static/page.js").status_code == 200
    assert disconnected.get("/static/plotly.min.js").headers["cache-control"].endswith("immutable")
    for address in ("/static/app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/docs", "/openapi.json"):
        assert disconnected.get(address).status_code == 404
