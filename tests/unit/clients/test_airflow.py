"""Airflow's responses from a loopback server: which errors are retried."""

import json
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from include.clients.airflow import DATABASE_ATTEMPTS, AirflowApi, DatabaseBusyError, Login
from include.contracts.errors import TerminalError

Answer = tuple[int, Mapping[str, object]]
BUSY: Answer = (500, {"detail": {"reason": "Database error", "statement": "hidden"}})
BROKEN: Answer = (500, {"detail": "KeyError"})
WELL: Answer = (200, {"dag_run_id": "run", "dags": []})


class Airflow:
    """A server that returns its responses in turn, and then repeats the last one."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.requests = list(answers), 0
        airflow = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, body = airflow.answers[min(airflow.requests, len(airflow.answers) - 1)]
                airflow.requests += 1
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PATCH = do_POST = _answer

            def log_message(self, format: str, *args: object) -> None:
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def serve() -> Iterator["Serve"]:
    serving = Serve()
    yield serving
    serving.close()


class Serve:
    """Starts servers and connects to them."""

    def __init__(self) -> None:
        self._started: list[Airflow] = []

    def __call__(self, *answers: Answer) -> tuple[Airflow, AirflowApi]:
        airflow = Airflow(*answers)
        Thread(target=airflow.server.serve_forever, daemon=True).start()
        self._started.append(airflow)
        url = f"http://127.0.0.1:{airflow.server.server_port}"
        return airflow, AirflowApi(url, Login("admin", "secret"))

    def close(self) -> None:
        for airflow in self._started:
            airflow.server.shutdown()
            airflow.server.server_close()


def test_request_with_busy_database_is_retried(serve: Serve) -> None:
    airflow, api = serve(BUSY, BUSY, WELL)
    api.pause("ingest_synthetic")
    assert airflow.requests == 3


def test_request_with_permanently_busy_database_raises_transient_error(serve: Serve) -> None:
    airflow, api = serve(BUSY)
    with pytest.raises(DatabaseBusyError, match="PATCH /api/v2/dags/x: Airflow's database rejected"):
        api.pause("x")
    assert airflow.requests == DATABASE_ATTEMPTS


def test_trigger_requests_a_run_once(serve: Serve) -> None:
    """The first request may have created the run."""
    airflow, api = serve(BUSY, WELL)
    with pytest.raises(DatabaseBusyError):
        api.trigger("x")
    assert airflow.requests == 1


def test_request_with_other_error_raises_terminal_error(serve: Serve) -> None:
    airflow, api = serve(BROKEN, WELL)
    with pytest.raises(TerminalError, match="500"):
        api.dags()
    assert airflow.requests == 1
