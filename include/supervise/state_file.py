"""The supervisor's state on this machine: which alerts were sent, and the last heartbeat.

It is a file, because each supervision cycle is a separate process, and because the loss of Redis is an alert itself.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from include.contracts.settings import Settings

log = logging.getLogger(__name__)

FILE = "supervisor.json"


class AlertRecord(msgspec.Struct):
    """One alert that fires.

    Attributes:
        sent_at: When its last message was begun, Unix s.
        fired_at: When its condition last held, Unix s.
        is_delivered: Whether the webhook accepted the message.
    """

    sent_at: float
    fired_at: float
    is_delivered: bool = False


class SupervisorState(msgspec.Struct):
    """All of the file. `to_remove`: alerts that were resolved while Redis was unavailable."""

    alerts: dict[str, AlertRecord] = {}
    to_remove: set[str] = set()
    heartbeat_at: float | None = None


class StateFile:
    """The state file of one machine; no method raises for a file that cannot be read or written."""

    def __init__(self, settings: Settings) -> None:
        folder = settings.supervise.state_dir or settings.local.state_dir / "data" / "supervise"
        self._path = Path(folder) / FILE

    def read(self) -> SupervisorState:
        """Return the stored state, an empty one if the file is missing or broken."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=SupervisorState)
        except FileNotFoundError:
            return SupervisorState()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("read %s failed: %s; it starts empty", self._path, type(error).__name__)
            return SupervisorState()

    @contextmanager
    def edit(self) -> Iterator[SupervisorState]:
        """Yield the state for changes and store it, under a file lock; keep the block short."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            log.warning("lock %s failed: %s; alerts may repeat while Redis is unavailable", self._path, error.strerror)
            yield SupervisorState()
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = self.read()
            yield state
            self._write(state)
        finally:
            os.close(lock)

    def _write(self, state: SupervisorState) -> None:
        draft = self._path.with_suffix(f".{os.getpid()}")
        try:
            with draft.open("wb") as file:
                file.write(msgspec.json.encode(state))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as error:
            log.warning("write %s failed: %s; alerts may repeat while Redis is unavailable", self._path, error.strerror)
