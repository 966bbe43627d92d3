"""Exposure of a running stack: sockets beyond loopback, and files that other users may read."""

import ipaddress
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from local import processes
from local.layout import Layout

FOLDER_MODE_MASK, FILE_MODE_MASK = 0o077, 0o007
"""Permission bits that must be unset. Files may be open to the group, as Elasticsearch's keystore is."""


def sockets_beyond_loopback(layout: Layout) -> list[str]:
    """Return the bound sockets (listening TCP, UDP) of the stack's processes that are not on 127.0.0.1 or ::1."""
    return [f"{name}: {ip}:{port}" for name, ip, port in _sockets(layout) if not _is_loopback(ip)]


def listening_programs(layout: Layout) -> set[str]:
    """Return the names of the stack's programs with a bound socket."""
    return {name for name, _, _ in _sockets(layout)}


def _sockets(layout: Layout) -> Iterator[tuple[str, str, int]]:
    """Yield program, address and port of each bound socket; skip processes that end meanwhile."""
    for process in processes.find_processes(layout):
        with suppress(psutil.NoSuchProcess):
            for socket in process.net_connections("inet"):
                if socket.status in (psutil.CONN_LISTEN, psutil.CONN_NONE):
                    yield processes.program_of(process), socket.laddr.ip, socket.laddr.port


def paths_of_others(layout: Layout) -> list[str]:
    """Return the folders and regular files of the stack that another user may read, write or enter."""
    folders = [folder for folder in layout.folders if folder.exists()]
    paths = [path for folder in folders for path in (folder, *folder.rglob("*"))]
    return sorted(f"{path.relative_to(layout.root)} {mode:o}" for path in paths if (mode := _open_mode(path)))


def _open_mode(path: Path) -> int:
    """Return the mode of a path that other users may access; 0 otherwise, also for links, sockets and missing paths."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return 0
    mask = FOLDER_MODE_MASK if stat.S_ISDIR(mode) else FILE_MODE_MASK if stat.S_ISREG(mode) else 0
    return stat.S_IMODE(mode) if mode & mask else 0


def _is_loopback(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback
