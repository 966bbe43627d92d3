"""The moment of Kafka's return: the first answer of the broker to a request, whatever the stack's ready test says."""

import socket
import struct
import threading
import time

from kafka.protocol.metadata import ApiVersionsRequest

from include.contracts.settings import LOOPBACK

POLL_S = 0.1
CONNECT_TIMEOUT_S = 0.5
ANSWER_TIMEOUT_S = 2.0
LENGTH = struct.Struct(">i")
CLIENT_ID = "drill"


class BrokerProbe:
    """Sends ApiVersions every 100 ms from its creation on, in a thread of its own, until one is answered.

    The times are seconds of `time.monotonic`.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._answered = threading.Event()
        self._closed = threading.Event()
        self.started_at = time.monotonic()
        self._answered_at = 0.0
        self._thread = threading.Thread(target=self._poll, name="broker-probe", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float) -> float | None:
        """Return the moment of the first answer; None without an answer in time. Ends the thread."""
        answered = self._answered.wait(timeout_s)
        self._closed.set()
        self._thread.join()
        return self._answered_at if answered else None

    def _poll(self) -> None:
        while not self._closed.is_set():
            if is_answering(self._port):
                self._answered_at = time.monotonic()
                self._answered.set()
                return
            self._closed.wait(POLL_S)


def is_answering(port: int) -> bool:
    """Whether the broker on a port of this machine answers ApiVersions."""
    request = ApiVersionsRequest(version=0)
    request.with_header(correlation_id=1, client_id=CLIENT_ID)
    try:
        with socket.create_connection((LOOPBACK, port), CONNECT_TIMEOUT_S) as connection:
            connection.settimeout(ANSWER_TIMEOUT_S)
            connection.sendall(request.encode(header=True, framed=True))
            return len(connection.recv(LENGTH.size, socket.MSG_WAITALL)) == LENGTH.size
    except OSError:
        return False
