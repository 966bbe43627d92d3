"""Serve a folder of static files on loopback."""

from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LOOPBACK = "127.0.0.1"


def serve_folder(folder: Path, port: int, on_start: Callable[[str], None]) -> None:
    """Serve until the process is interrupted.

    Args:
        folder: The folder with index.html.
        port: 0 selects a free port.
        on_start: Receives the address.
    """
    with ThreadingHTTPServer((LOOPBACK, port), partial(SimpleHTTPRequestHandler, directory=str(folder))) as server:
        on_start(f"http://{LOOPBACK}:{server.server_port}/")
        server.serve_forever()
