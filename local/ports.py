"""Whether the ports of a stack are free."""

import socket
from collections.abc import Iterable

from include.contracts.errors import PortTakenError
from include.contracts.settings import LOOPBACK
from local import processes
from local.program import Program


def require_free(programs: Iterable[Program]) -> None:
    """PortTakenError with every port that someone else listens on."""
    taken = [
        f"port {port} of {server} is taken by {processes.listener(port)}"
        for program in programs
        for server, port in program.ports.items()
        if not is_free(port)
    ]
    if taken:
        raise PortTakenError(
            "; ".join(taken), "stop that program, or set SHOWROOM_LOCAL_PORT_OFFSET to another multiple of 100"
        )


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that is still winding down is no listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
