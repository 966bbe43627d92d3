"""Checks for free ports of a stack."""

import socket
from collections.abc import Iterable

from include.contracts.errors import PortTakenError
from include.contracts.settings import LOOPBACK
from local import processes
from local.program import Program


def require_free_ports(programs: Iterable[Program]) -> None:
    """Check that all ports of programs are free.

    Raises:
        PortTakenError: Names every port with another listener.
    """
    taken = [
        f"port {port} of {server} is taken by {processes.describe_listener(port)}"
        for program in programs
        for server, port in program.ports.items()
        if not is_free(port)
    ]
    if taken:
        raise PortTakenError(
            "; ".join(taken), "stop that program, or set SHOWROOM_LOCAL_PORT_OFFSET to another multiple of 100"
        )


def is_free(port: int) -> bool:
    """Return whether a server could listen on a port of the loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do, because a connection in TIME_WAIT does not block a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
