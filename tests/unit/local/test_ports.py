"""A taken port is found before a server is started."""

import socket

import pytest

from include.contracts.errors import PortTakenError
from include.contracts.settings import LOOPBACK
from local.ports import is_free, require_free
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
        ports={"Thing's door": port},
    )


def test_a_port_is_free_once_its_listener_is_gone() -> None:
    with listening() as server:
        port = server.getsockname()[1]
        assert not is_free(port)

    assert is_free(port)


def test_a_listener_on_all_addresses_takes_the_port_too() -> None:
    with socket.create_server(("", 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_a_connection_that_is_winding_down_does_not_take_the_port() -> None:
    server = listening()
    port = server.getsockname()[1]
    with server, socket.create_connection((LOOPBACK, port)):
        accepted, _ = server.accept()
        accepted.close()

    assert is_free(port)


def test_all_taken_ports_are_named_at_once() -> None:
    with listening() as one, listening() as two:
        ports = [server.getsockname()[1] for server in (one, two)]
        with pytest.raises(PortTakenError) as caught:
            require_free(program(port) for port in ports)

    assert all(f"port {port} of Thing's door is taken by" in str(caught.value) for port in ports)
