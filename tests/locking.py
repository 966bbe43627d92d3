"""Exclusive use of a stack by one test run."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from include.contracts.settings import Settings
from local.project import state_dir


@contextmanager
def turn(settings: Settings) -> Iterator[None]:
    """Lock the stack of these settings against other test runs; wait until it is unlocked."""
    folder = state_dir(settings.local)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
