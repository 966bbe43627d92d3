"""Redis' client: connect, and translate its errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from redis.exceptions import (
    ClusterDownError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)
from redis.retry import Retry

from include.clients.errors import unavailable
from include.contracts.errors import SettingsError, TerminalError

UNAVAILABLE = (ConnectionError, TimeoutError, OutOfMemoryError, ReadOnlyError, ClusterDownError, TryAgainError)
UNAVAILABLE_CODES = ("OOM", "READONLY", "MISCONF", "NOREPLICAS", "BUSY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN")
"""First words of error replies for which the client may have no class."""
_PREFIXES = ("caused error: ", "because of: ")
"""Prefixes of the reply in errors of pipelines and aborted transactions."""


def connect(
    url: str,
    *,
    timeout_s: float,
    connect_timeout_s: float | None = None,
    decode_responses: bool = False,
    retry: Retry | None = None,
) -> "redis.Redis":
    """Return a client; it connects with its first command. Close it after use.

    Args:
        url: Address, with the password.
        timeout_s: Limit of each command.
        connect_timeout_s: Limit of a connection attempt; None for that of a command.
        decode_responses: Whether strings are returned instead of bytes.
        retry: The client's own retries; None for its default.

    Raises:
        SettingsError: The address is invalid.
    """
    options: dict[str, Any] = {} if retry is None else {"retry": retry}
    try:
        client: redis.Redis = redis.Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s if connect_timeout_s is None else connect_timeout_s,
            decode_responses=decode_responses,
            **options,
        )
    except ValueError:  # its text may contain a part of the password
        raise SettingsError(
            "connection to Redis failed: its address is invalid",
            "set SHOWROOM_REDIS_URL to redis://[:password@]host:port/db, special characters of the password as %XX",
        ) from None
    return client


@contextmanager
def translate_errors(operation: str) -> Iterator[None]:
    """Raise the client's errors as TransientError (unreachable, full, busy) or TerminalError (refused)."""
    try:
        yield
    except RedisError as error:
        if is_unavailable(error):
            raise unavailable(operation, "Redis", error) from error
        raise TerminalError(f"{operation} failed: Redis refused it ({error})", "see ./showroom logs redis") from error


def is_unavailable(error: BaseException) -> bool:
    """Return whether Redis is unreachable or refuses writes for now: the same call may succeed later."""
    if isinstance(error, UNAVAILABLE):
        return True
    if not isinstance(error, ResponseError):
        return False
    reply = str(error)
    for prefix in _PREFIXES:
        reply = reply.rpartition(prefix)[2]
    return reply.partition(" ")[0] in UNAVAILABLE_CODES
