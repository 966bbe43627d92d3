"""Time of Kafka's return: the broker's first response to a request, independent of the stack's readiness check."""

import socket
import struct
import threading
import time

from kafka.protocol.metadata import ApiVersionsRequest

from include.contracts.settings import LOOPBACK

POLL_INTERVAL_S = 0.1
CONNECT_TIMEOUT_S = 0.5
RESPONSE_TIMEOUT_S = 2.0
LENGTH = struct.Struct(">i")
CLIENT_ID = "drill"


class BrokerProbe:
    """Probe that sends ApiVersions every 100 ms in its own thread until the broker responds.

    Times are seconds of `time.monotonic`.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._response_event = threading.Event()
        self._stop_event = threading.Event()
        self.started_at = time.monotonic()
        self._responded_at = 0.0
        self._thread = threading.Thread(target=self._poll, name="broker-probe", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float) -> float | None:
        """Return the time of the first response, or None after the timeout. Ends the thread."""
        has_response = self._response_event.wait(timeout_s)
        self._stop_event.set()
        self._thread.join()
        return self._responded_at if has_response else None

    def _poll(self) -> None:
        while not self._stop_event.is_set():
            if is_responding(self._port):
                self._responded_at = time.monotonic()
                self._response_event.set()
                return
            self._stop_event.wait(POLL_INTERVAL_S)


def is_responding(port: int) -> bool:
    """Return whether the broker on a local port responds to ApiVersions."""
    request = ApiVersionsRequest(version=0)
    request.with_header(correlation_id=1, client_id=CLIENT_ID)
    try:
        with socket.create_connection((LOOPBACK, port), CONNECT_TIMEOUT_S) as connection:
            connection.settimeout(RESPONSE_TIMEOUT_S)
            connection.sendall(request.encode(header=True, framed=True))
            return len(connection.recv(LENGTH.size, socket.MSG_WAITALL)) == LENGTH.size
    except OSError:
        return False
