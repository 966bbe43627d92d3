"""A webhook for tests: an HTTP server that stores messages."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from include.contracts.setting import Secret


class Webhook(ThreadingHTTPServer):
    """Webhook that responds with `status` and stores messages while it is 200. A GET counts as a heartbeat."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.messages: list[dict[str, Any]] = []
        self.heartbeats = 0

    @property
    def url(self) -> Secret:
        """URL of the webhook, which is a secret."""
        return Secret(f"http://127.0.0.1:{self.server_port}/secret")

    @property
    def summary(self) -> list[tuple[str, str]]:
        """Alert and state of each stored message."""
        return [(message["identity"], message["state"]) for message in self.messages]


@contextmanager
def serve_webhook() -> Iterator[Webhook]:
    """Serve until the block ends."""
    with Webhook() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Webhook

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.server.status == 200:
            self.server.messages.append(body)
        self.send_response(self.server.status)
        self.end_headers()

    def do_GET(self) -> None:
        self.server.heartbeats += 1
        self.send_response(self.server.status)
        self.end_headers()
