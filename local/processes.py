"""Processes of a stack, identified by a variable in their environment, also without supervisord."""

from collections.abc import Callable, Iterable
from contextlib import suppress

import psutil

from local.layout import Layout

MARK = "LOCAL_STACK"
"""Environment variable of every process of a stack; its value is the stack's state folder."""
GRACE_S = 20.0
KILL_WAIT_S = 10.0


def find_processes(layout: Layout) -> list[psutil.Process]:
    """Return all live processes with the mark of a stack, except the caller and its parents."""
    me = psutil.Process()
    own_pids = {me.pid, *(parent.pid for parent in me.parents())}
    return [process for process in psutil.process_iter() if process.pid not in own_pids and _has_mark(process, layout)]


def program_of(process: psutil.Process) -> str:
    """Return the supervisord program of a process or its parent; empty if unknown."""
    try:
        return process.environ().get("SUPERVISOR_PROCESS_NAME", "")
    except (psutil.Error, OSError):
        return ""


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and all its descendants, parents first; empty if it has ended."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def memory(pid: int) -> int | None:
    """Return the memory of a process and its descendants in bytes (PSS); None if they have ended."""
    results = [size for process in tree(pid) if (size := _memory(process)) is not None]
    return sum(results) if results else None


def end(processes: Iterable[psutil.Process], grace_s: float = GRACE_S) -> None:
    """Terminate processes, wait for `grace_s` seconds, then kill the remaining ones."""
    remaining = list(processes)
    for process in remaining:
        _signal(process, psutil.Process.terminate)
    _, remaining = psutil.wait_procs(remaining, timeout=grace_s)
    for process in remaining:
        _signal(process, psutil.Process.kill)
    psutil.wait_procs(remaining, timeout=KILL_WAIT_S)


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kill processes with SIGKILL, as in a crash, and wait for their end."""
    targets = list(processes)
    for process in targets:
        _signal(process, psutil.Process.kill)
    psutil.wait_procs(targets, timeout=KILL_WAIT_S)


def describe_listener(port: int) -> str:
    """Return the listener of a port as `name (pid 1)`, or a general text without permission to read it."""
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,)
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return "another program"


def _has_mark(process: psutil.Process, layout: Layout) -> bool:
    try:
        return process.environ().get(MARK) == str(layout.root) and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


def _memory(process: psutil.Process) -> int | None:
    try:
        return int(process.memory_full_info().pss)
    except psutil.AccessDenied:
        # A process of another user: use the RSS, which counts shared memory once for each process.
        with suppress(psutil.Error):
            return int(process.memory_info().rss)
    except (psutil.Error, OSError):
        pass
    return None


def _signal(process: psutil.Process, send: Callable[[psutil.Process], None]) -> None:
    with suppress(psutil.NoSuchProcess):
        send(process)
