"""A stop request by a signal: every wait of the gate ends at once."""

import faulthandler
import logging
import os
import signal
import threading

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)
DRAIN_LIMIT_S = 8.0
"""Below the ten seconds after which supervisord and Docker kill the process."""
FORCED_EXIT = 70


class ShutdownError(Exception):
    """A stop was requested while the gate waited for a server."""


class ShutdownSignal:
    """Set once by SIGTERM or SIGINT; a wait raises ShutdownError as soon as it is set."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def listen(self, drain_limit_s: float = DRAIN_LIMIT_S) -> None:
        """Request the stop on SIGTERM and SIGINT, and end the process if it does not drain in time.

        A thread receives the signals. Python runs handlers only between instructions of the main thread, which may wait
        inside a client library. Call this method before any other thread starts.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        threading.Thread(target=self._receive, args=(drain_limit_s,), name="signals", daemon=True).start()

    def _receive(self, drain_limit_s: float) -> None:
        signal.sigwait(SIGNALS)
        self._event.set()
        threading.Event().wait(drain_limit_s)
        exit_now(f"not drained within {drain_limit_s:g} s, ending; the open transaction will be aborted")

    def ask(self) -> None:
        """Request the stop."""
        self._event.set()

    @property
    def is_requested(self) -> bool:
        """Whether the stop was requested."""
        return self._event.is_set()

    def wait(self, seconds: float) -> None:
        """Wait; raises ShutdownError if the stop is requested before or during the wait."""
        if self._event.wait(seconds):
            raise ShutdownError


def exit_now(reason: str) -> None:
    """End the process without waiting for any thread; supervisord or Docker restarts it.

    Writes the stacks of all threads to stderr, because they show the call that hangs.
    """
    log.critical("%s", reason)
    faulthandler.dump_traceback()
    os._exit(FORCED_EXIT)
