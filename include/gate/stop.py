"""A request to stop, as signals make it: every wait of the gate ends at once when it comes."""

import signal
import threading
from types import FrameType


class Stopped(Exception):
    """The gate was asked to stop while it waited for a server."""


class Stop:
    """Set once by SIGTERM or SIGINT; waiting on it raises Stopped as soon as it is set."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def listen(self) -> None:
        """Let SIGTERM and SIGINT ask for the stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._event.set()

    def ask(self) -> None:
        """Ask for the stop."""
        self._event.set()

    @property
    def asked(self) -> bool:
        """Whether the stop was asked for."""
        return self._event.is_set()

    def wait(self, seconds: float) -> None:
        """Wait; raises Stopped if the stop is asked for before or meanwhile."""
        if self._event.wait(seconds):
            raise Stopped
