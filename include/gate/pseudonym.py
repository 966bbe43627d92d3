"""Remove personal data: user ids become keyed pseudonyms, addresses become networks."""

import hmac
import ipaddress
from collections.abc import Callable
from functools import lru_cache

CACHED = 200_000
PSEUDONYM_HEX = 32
CHECK_TEXT = "\0pseudonym key"
V4_PREFIX, V6_PREFIX = 24, 48
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""Addresses with an IPv4 address in their last 32 bits (RFC 6052)."""


def pseudonymizer(key: bytes) -> Callable[[str], str]:
    """A function user_id -> pseudonym: HMAC-SHA256 (RFC 2104) with `key`, cut to 128 bits, in hex.

    Most users return, so a bounded number of results is cached.
    """

    @lru_cache(maxsize=CACHED)
    def pseudonym(user_id: str) -> str:
        return hmac.digest(key, user_id.encode(), "sha256").hex()[:PSEUDONYM_HEX]

    return pseudonym


def key_check(pseudonym: Callable[[str], str]) -> str:
    """Return a value that is equal for two parties with one key; no user id contains its text."""
    return pseudonym(CHECK_TEXT)


@lru_cache(maxsize=CACHED)
def network_of(ip: str) -> str:
    """Return the /24 (IPv6: /48) of an address; an IPv6 address that embeds an IPv4 address counts as that address.

    Raises ValueError if `ip` is not an address.
    """
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address):
        embedded = _embedded(address)
        if embedded is None:
            return str(ipaddress.IPv6Network((int(address), V6_PREFIX), strict=False))
        address = embedded
    return str(ipaddress.IPv4Network((int(address), V4_PREFIX), strict=False))


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the visitor's IPv4 address in a mapped, 6to4, Teredo or NAT64 address; None for any other."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    # The /48 of a 6to4 address contains all 32 bits of the IPv4 address.
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF) if address in NAT64 else None
