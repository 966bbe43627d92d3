"""What a running stack exposes: sockets beyond loopback, and files that other users may read."""

import ipaddress
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from local import processes
from local.layout import Layout

FOLDER_OTHERS, FILE_OTHERS = 0o077, 0o007
"""Permission bits that nobody but the owner may have. Elasticsearch opens its keystore to its own group."""


def sockets_beyond_loopback(layout: Layout) -> list[str]:
    """Each bound socket (TCP that listens, UDP) of each process of the stack that is not on 127.0.0.1 or ::1."""
    return [f"{name}: {ip}:{port}" for name, ip, port in _sockets(layout) if not _is_loopback(ip)]


def listening_programs(layout: Layout) -> set[str]:
    """Names of the programs of the stack that have a bound socket."""
    return {name for name, _, _ in _sockets(layout)}


def _sockets(layout: Layout) -> Iterator[tuple[str, str, int]]:
    """Program, address and port of each bound socket; a process that ends meanwhile has none."""
    for process in processes.find_processes(layout):
        with suppress(psutil.NoSuchProcess):
            for socket in process.net_connections("inet"):
                if socket.status in (psutil.CONN_LISTEN, psutil.CONN_NONE):
                    yield processes.program_of(process), socket.laddr.ip, socket.laddr.port


def paths_of_others(layout: Layout) -> list[str]:
    """Each folder and regular file of the stack that another user may read, write or enter."""
    folders = [folder for folder in layout.folders if folder.exists()]
    paths = [path for folder in folders for path in (folder, *folder.rglob("*"))]
    return sorted(f"{path.relative_to(layout.root)} {mode:o}" for path in paths if (mode := _open_mode(path)))


def _open_mode(path: Path) -> int:
    """The permissions of a path where others have some; 0 otherwise, for links, sockets and what has gone."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return 0
    forbidden = FOLDER_OTHERS if stat.S_ISDIR(mode) else FILE_OTHERS if stat.S_ISREG(mode) else 0
    return stat.S_IMODE(mode) if mode & forbidden else 0


def _is_loopback(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback
