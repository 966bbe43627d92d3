"""The block list: users and networks that the gate rejects, the same in every partition."""

import ipaddress
from typing import NamedTuple

import redis

from include.contracts import redis_keys
from include.contracts.errors import TerminalError
from include.contracts.settings import KafkaSettings, Settings
from include.gate.pseudonym import V4_PREFIX, V6_PREFIX, key_check, network_of, pseudonymizer


class Change(NamedTuple):
    """One entry of the block list, and whether the call changed the list."""

    entry: str
    changed: bool


class BlockList(NamedTuple):
    """Blocked pseudonyms and networks, sorted. User ids behind pseudonyms are not stored."""

    users: list[str]
    networks: list[str]


def block_user(client: "redis.Redis", settings: Settings, user_id: str, *, lift: bool = False) -> Change:
    """Block or unblock a user; the user id is the source's.

    Raises:
        SettingsError: The pseudonym key is missing.
        TerminalError: It is not the gate's key, so the entry would never match.
    """
    pseudonym = pseudonymizer(settings.gate.require_pseudonym_key())
    existing = client.get(redis_keys.pseudonym_check())
    if existing is not None and _text(existing) != key_check(pseudonym):
        raise TerminalError(
            "change of the block list failed: the gate uses another SHOWROOM_GATE_PSEUDONYM_KEY",
            "use the gate's key, or the SHOWROOM_LOCAL_STATE_DIR of its stack",
        )
    names = [redis_keys.blocked_users(partition) for partition in range(settings.kafka.partitions)]
    return _write(client, names, pseudonym(user_id), lift)


def block_network(client: "redis.Redis", settings: KafkaSettings, ip: str, *, lift: bool = False) -> Change:
    """Block or unblock the network of an address; see `parse_network` for valid values of `ip`.

    Raises:
        TerminalError: `ip` is neither an address nor a network of the size that the gate compares.
    """
    network = parse_network(ip)
    return _write(
        client,
        [redis_keys.blocked_networks(partition) for partition in range(settings.partitions)],
        network,
        lift,
    )


def read_block_list(client: "redis.Redis", settings: KafkaSettings) -> BlockList:
    """Return every blocked user and network of all partitions."""
    partitions = range(settings.partitions)
    users = client.sunion([redis_keys.blocked_users(partition) for partition in partitions])
    networks = client.sunion([redis_keys.blocked_networks(partition) for partition in partitions])
    return BlockList(sorted(map(_text, users)), sorted(map(_text, networks)))


def parse_network(text: str) -> str:
    """Return the /24 (IPv6: /48) of an address, or the network itself if it has exactly that size.

    Raises:
        TerminalError: The text is neither an address nor such a network.
    """
    sizes = f"the gate compares networks of /{V4_PREFIX} (IPv6: /{V6_PREFIX})"
    address, _, size = text.partition("/")
    try:
        network = network_of(address)
        requested = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise TerminalError(
            f"{text!r} is neither an IP address nor a network", "give one like 203.0.113.7 or 203.0.113.0/24"
        ) from None
    if size and requested != ipaddress.ip_network(network):
        raise TerminalError(f"{text!r} cannot be named as one network: {sizes}", f"name each one, like {network}")
    return network


def _text(member: bytes | str) -> str:
    return member if isinstance(member, str) else member.decode()


def _write(client: "redis.Redis", names: list[str], member: str, lift: bool) -> Change:
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            if lift:
                pipe.srem(name, member)
            else:
                pipe.sadd(name, member)
        return Change(member, any(pipe.execute()))
