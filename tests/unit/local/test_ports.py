"""Check of free ports before the start of a server."""

import socket

import pytest

from include.contracts.errors import PortTakenError
from include.contracts.settings import LOOPBACK
from local.ports import is_free, require_free_ports
from local.program import Program


def listening() -> socket.socket:
    return socket.create_server((LOOPBACK, 0))


def program(port: int) -> Program:
    return Program(
        name="thing",
        title="Thing",
        command=("thing",),
        priority=1,
        probe=lambda: None,
        address="",
        ports={"Thing's port": port},
    )


def test_is_free_after_the_listener_closed_is_true() -> None:
    with listening() as server:
        port = server.getsockname()[1]
        assert not is_free(port)

    assert is_free(port)


def test_is_free_with_a_listener_on_all_addresses_is_false() -> None:
    with socket.create_server(("", 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_is_free_with_a_connection_in_time_wait_is_true() -> None:
    server = listening()
    port = server.getsockname()[1]
    with server, socket.create_connection((LOOPBACK, port)):
        accepted, _ = server.accept()
        accepted.close()

    assert is_free(port)


def test_require_free_ports_names_all_taken_ports() -> None:
    with listening() as first, listening() as second:
        ports = [server.getsockname()[1] for server in (first, second)]
        with pytest.raises(PortTakenError) as raised:
            require_free_ports(program(port) for port in ports)

    assert all(f"port {port} of Thing's port is taken by" in str(raised.value) for port in ports)
