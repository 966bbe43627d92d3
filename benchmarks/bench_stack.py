"""A stack of its own for a bench: new and empty, gone afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from include.contracts.settings import Secret, Settings
from include.local.stack import Stack

PORT_OFFSET = 2_000
KEY = "a key for benches only, never used elsewhere"


def bench_settings(**changes: Any) -> Settings:
    """Default settings on a state folder and ports of their own."""
    return Settings(state_dir=Path(".showroom/bench"), port_offset=PORT_OFFSET, pseudonym_key=Secret(KEY), **changes)


@contextmanager
def empty_stack(settings: Settings) -> Iterator[Stack]:
    """A stack with nothing in it and nothing running; whatever was started in it ends with the block."""
    stack = Stack(settings, say)
    stack.purge()
    try:
        yield stack
    finally:
        stack.purge()


def say(line: str) -> None:
    """Progress goes to standard error: the last line of standard output is the result."""
    typer.echo(line, err=True)
