"""Personal data stops here: user ids become keyed pseudonyms, addresses become networks."""

import hmac
import ipaddress
from collections.abc import Callable
from functools import lru_cache

CACHED = 200_000
PSEUDONYM_HEX = 32
V4_PREFIX, V6_PREFIX = 24, 48


def pseudonymizer(key: bytes) -> Callable[[str], str]:
    """A function user_id -> pseudonym: HMAC-SHA256 (RFC 2104) under `key`, cut to 128 bits, in hex.

    Returning users are the rule, so results are remembered, a bounded number of them.
    """

    @lru_cache(maxsize=CACHED)
    def pseudonym(user_id: str) -> str:
        return hmac.digest(key, user_id.encode(), "sha256").hex()[:PSEUDONYM_HEX]

    return pseudonym


@lru_cache(maxsize=CACHED)
def network_of(ip: str) -> str:
    """The /24 (IPv6: /48) of an address; an IPv4 address mapped into IPv6 counts as IPv4.

    Raises ValueError where `ip` is no address.
    """
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.IPv6Network((int(address), V6_PREFIX), strict=False))
        address = address.ipv4_mapped
    return str(ipaddress.IPv4Network((int(address), V4_PREFIX), strict=False))
