"""What supervisord is to keep running: typed definitions, rendered to its configuration elsewhere."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Probe = Callable[[], str | None]
"""Asks a server whether it works: None when it does, else what is missing. May raise; that counts as missing."""

Files = Callable[[], Mapping[Path, str]]
"""Renders the configuration files of a server: path and text."""


def no_files() -> Mapping[Path, str]:
    """A server that is configured by its command alone."""
    return {}


def nothing() -> None:
    """A server whose data needs no preparation."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """One supervised process. Defining it touches nothing.

    `ports` maps what listens to its port. `files` are written, and `prepare` is called, before a start; a
    changed file asks for a restart. Lower `priority` starts earlier and stops later. `directory` is the working
    directory; None for the project's.
    """

    name: str
    title: str
    command: tuple[str, ...]
    priority: int
    probe: Probe
    address: str
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    files: Files = no_files
    prepare: Callable[[], None] = nothing
    directory: Path | None = None
    stop_signal: str = "TERM"
    stop_wait_s: int = 30
