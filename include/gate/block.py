"""The block list: users and networks the gate refuses, the same in every partition."""

import redis

from include.contracts import keys
from include.contracts.settings import Settings
from include.gate.pseudonym import network_of, pseudonymizer


def block_user(client: "redis.Redis", settings: Settings, user_id: str, *, lift: bool = False) -> str:
    """Block (or lift the block of) a user, given as the source names him; returns the pseudonym.

    Raises SettingsError without the pseudonym key.
    """
    pseudonym = pseudonymizer(settings.require_pseudonym_key())(user_id)
    _write(client, [keys.blocked_users(partition) for partition in range(settings.partitions)], pseudonym, lift)
    return pseudonym


def block_network(client: "redis.Redis", settings: Settings, ip: str, *, lift: bool = False) -> str:
    """Block (or lift the block of) the network of an address; returns the network.

    Raises ValueError where `ip` is no address.
    """
    network = network_of(ip)
    _write(client, [keys.blocked_networks(partition) for partition in range(settings.partitions)], network, lift)
    return network


def _write(client: "redis.Redis", names: list[str], member: str, lift: bool) -> None:
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            if lift:
                pipe.srem(name, member)
            else:
                pipe.sadd(name, member)
        pipe.execute()
