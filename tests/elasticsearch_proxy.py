"""An HTTP proxy in front of Elasticsearch that can replace responses."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Reply(NamedTuple):
    """A response. Its body ends after `sent` bytes; None sends the complete response, and -1 sends nothing."""

    status: int
    body: bytes
    content_type: str = "application/json"
    sent: int | None = None


Forward = Callable[[], Reply]
Rule = Callable[[bytes, Forward], Reply]


class ElasticsearchProxy(ThreadingHTTPServer):
    """Proxy that calls `rule` for each POST with the request body and a function that forwards the request."""

    daemon_threads = True

    def __init__(self, target: str, rule: Rule) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = urlsplit(target).netloc
        self.rule = rule
        self.requests: list[bytes] = []

    @property
    def url(self) -> str:
        """URL of the proxy."""
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serve_proxy(target: str, rule: Rule) -> Iterator[ElasticsearchProxy]:
    """Serve until the block ends."""
    with ElasticsearchProxy(target, rule) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ElasticsearchProxy

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append(body)
        reply = self.server.rule(body, lambda: self._forward(body))
        self.close_connection = reply.sent is not None
        if reply.sent == -1:
            return
        self.send_response(reply.status)
        self.send_header("content-type", reply.content_type)
        self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body[: reply.sent])

    def _forward(self, body: bytes) -> Reply:
        connection = HTTPConnection(self.server.target, timeout=60)
        try:
            connection.request("POST", self.path, body, {"content-type": self.headers["content-type"]})
            response = connection.getresponse()
            return Reply(response.status, response.read(), response.headers["content-type"])
        finally:
            connection.close()
