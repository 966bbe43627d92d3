"""Two test runs in one checkout take turns with a stack."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from include.contracts.settings import Settings
from local.project import state_dir


@contextmanager
def turn(settings: Settings) -> Iterator[None]:
    """Wait until no other test run uses the stack of these settings, and keep others away."""
    folder = state_dir(settings)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
