"""What a Redis error means for the gate: wait, or give up."""

from redis.exceptions import (
    ClusterDownError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

UNAVAILABLE = (ConnectionError, TimeoutError, OutOfMemoryError, ReadOnlyError, ClusterDownError, TryAgainError)
UNAVAILABLE_CODES = ("OOM", "READONLY", "MISCONF", "NOREPLICAS", "BUSY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN")
"""First words of answers, for which the client may have no class of their own."""
_PREFIXES = ("caused error: ", "because of: ")
"""What pipelines and aborted transactions put before the answer."""


def is_redis_unavailable(error: BaseException) -> bool:
    """Return whether Redis is away or refuses writes for now: the same call may succeed later."""
    if isinstance(error, UNAVAILABLE):
        return True
    if not isinstance(error, ResponseError):
        return False
    response = str(error)
    for prefix in _PREFIXES:
        response = response.rpartition(prefix)[2]
    return response.partition(" ")[0] in UNAVAILABLE_CODES
