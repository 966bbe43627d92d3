"""Valid and invalid networks for the block list."""

import pytest

from include.contracts.errors import TerminalError
from include.gate.block import parse_network


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("203.0.113.7/24", "203.0.113.0/24"),
        ("2001:db8::1", "2001:db8::/48"),
        ("2001:db8::/48", "2001:db8::/48"),
    ],
)
def test_parse_network_of_an_address_or_its_network_is_what_the_gate_compares(text: str, network: str) -> None:
    assert parse_network(text) == network


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("10.0.0.0/8", "cannot be named as one network: the gate compares networks of /24"),
        ("203.0.113.7/32", "cannot be named as one network"),
        ("shop.example", "is neither an IP address nor a network"),
        ("203.0.113.7/x", "is neither an IP address nor a network"),
        ("", "is neither an IP address nor a network"),
    ],
)
def test_parse_network_of_anything_else_fails_with_the_cause(text: str, cause: str) -> None:
    with pytest.raises(TerminalError, match=cause):
        parse_network(text)
