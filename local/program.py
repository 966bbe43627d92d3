"""Definitions of the programs that supervisord runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Probe = Callable[[], str | None]
"""Readiness probe: returns None if the server is ready, else the cause. An exception counts as not ready."""

Files = Callable[[], Mapping[Path, str]]
"""Renders the configuration files of a server: path and text."""


def no_files() -> Mapping[Path, str]:
    """Return no files, for a server without configuration files."""
    return {}


def nothing() -> None:
    """Do nothing, for a server whose data needs no preparation."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """Definition of one supervised process, without side effects.

    Attributes:
        name: Name in supervisord.
        title: Name in progress lines.
        command: Command line.
        priority: Order of starts; a lower number starts earlier and stops later.
        probe: Readiness probe.
        address: Address shown by `./showroom status`.
        environment: Environment variables.
        directory: Working directory; None for the project's.
        ports: Port of each listener.
        files: Configuration files, written before a start. A changed file requires a restart.
        prepare: Called before a start.
        stop_signal: Signal that stops the process.
        stop_wait_s: Seconds from the stop signal to SIGKILL.
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
