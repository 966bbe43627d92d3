"""Processes of a stack, found by the mark in their environment even when nothing supervises them any more."""

from collections.abc import Callable, Iterable
from contextlib import suppress

import psutil

from local.layout import Layout

MARK = "LOCAL_STACK"
"""Environment variable that every process of a stack inherits: the stack's state folder."""
GRACE_S = 20.0
KILL_WAIT_S = 10.0


def find_processes(layout: Layout) -> list[psutil.Process]:
    """All live processes that carry the mark of this stack, except the caller and its parents."""
    me = psutil.Process()
    kin = {me.pid, *(parent.pid for parent in me.parents())}
    return [process for process in psutil.process_iter() if process.pid not in kin and _marked(process, layout)]


def program_of(process: psutil.Process) -> str:
    """The program that supervisord started this process or its parent as; empty when it does not say."""
    try:
        return process.environ().get("SUPERVISOR_PROCESS_NAME", "")
    except (psutil.Error, OSError):
        return ""


def tree(pid: int) -> list[psutil.Process]:
    """A process and all below it, parents first; empty when it is gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def memory(pid: int) -> int | None:
    """Bytes that a process and all below it keep in memory, shared ones shared out; None when they are gone."""
    results = [size for process in tree(pid) if (size := _memory(process)) is not None]
    return sum(results) if results else None


def end(processes: Iterable[psutil.Process], grace_s: float = GRACE_S) -> None:
    """Ask processes to stop, wait for them, then kill what is left."""
    alive = list(processes)
    for process in alive:
        _signal(process, psutil.Process.terminate)
    _, alive = psutil.wait_procs(alive, timeout=grace_s)
    for process in alive:
        _signal(process, psutil.Process.kill)
    psutil.wait_procs(alive, timeout=KILL_WAIT_S)


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kill -9, as a crash would, and wait until they are gone."""
    end_now = list(processes)
    for process in end_now:
        _signal(process, psutil.Process.kill)
    psutil.wait_procs(end_now, timeout=KILL_WAIT_S)


def listener(port: int) -> str:
    """Who listens on a port, as `name (pid 1)`, as far as the caller may see."""
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,)
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return "another program"


def _marked(process: psutil.Process, layout: Layout) -> bool:
    try:
        return process.environ().get(MARK) == str(layout.root) and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


def _memory(process: psutil.Process) -> int | None:
    try:
        return int(process.memory_full_info().pss)
    except psutil.AccessDenied:
        # Another user's: what is shared is then counted for each that shares it.
        with suppress(psutil.Error):
            return int(process.memory_info().rss)
    except (psutil.Error, OSError):
        pass
    return None


def _signal(process: psutil.Process, send: Callable[[psutil.Process], None]) -> None:
    with suppress(psutil.NoSuchProcess):
        send(process)
