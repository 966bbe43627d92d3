"""An empty stack for one bench or drill, deleted afterwards."""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from include.contracts.errors import TerminalError
from include.contracts.setting import Secret
from include.contracts.settings import GateSettings, LocalSettings, Settings
from local.project import state_dir
from local.stack import Stack

PORT_OFFSET = 2_000
KEY = "a key for benches only, never used elsewhere"


def bench_settings(**changes: Mapping[str, Any]) -> Settings:
    """Return settings with a separate state folder and separate ports, changed as by `Settings.replace`."""
    return Settings(
        local=LocalSettings(state_dir=Path(".showroom/bench"), port_offset=PORT_OFFSET),
        gate=GateSettings(pseudonym_key=Secret(KEY)),
    ).replace(**changes)


@contextmanager
def empty_stack(settings: Settings) -> Iterator[Stack]:
    """Yield an empty, stopped stack; the end of the `with` block stops and deletes it.

    Raises:
        TerminalError: Another drill or bench uses the folder.
    """
    with _lock_folder(state_dir(settings.local)):
        stack = Stack(settings, on_progress)
        stack.purge()
        try:
            yield stack
        finally:
            stack.purge()


@contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Lock a stack folder. The lock file is outside the folder, because a purge deletes the folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TerminalError(
                f"start on {folder} failed: another drill or bench uses this folder",
                "wait until it ends, then start again",
            ) from None
        yield


def on_progress(line: str) -> None:
    """Print a line to standard error, because the last line of standard output is the result."""
    typer.echo(line, err=True)
