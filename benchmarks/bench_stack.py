"""A stack of its own for a bench: new and empty, gone afterwards."""

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
    """Build settings with a state folder and ports of their own, changed as by `Settings.replace`."""
    return Settings(
        local=LocalSettings(state_dir=Path(".showroom/bench"), port_offset=PORT_OFFSET),
        gate=GateSettings(pseudonym_key=Secret(KEY)),
    ).replace(**changes)


@contextmanager
def empty_stack(settings: Settings) -> Iterator[Stack]:
    """A stack with nothing in it and nothing running; whatever was started in it ends with the block.

    Raises TerminalError while another drill or bench uses the folder.
    """
    with _only_user(state_dir(settings)):
        stack = Stack(settings, on_progress)
        stack.purge()
        try:
            yield stack
        finally:
            stack.purge()


@contextmanager
def _only_user(folder: Path) -> Iterator[None]:
    """The lock lies beside the folder: emptying a stack deletes the folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TerminalError(
                f"start on {folder} failed: another drill or bench uses this folder",
                "wait for its end, then start again",
            ) from None
        yield


def on_progress(line: str) -> None:
    """Progress goes to standard error: the last line of standard output is the result."""
    typer.echo(line, err=True)
