"""Which Redis errors pass without a change to the gate: it waits for them, whatever it was doing."""

import re

from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

TEMPORARY = (
    ConnectionError,
    TimeoutError,
    BusyLoadingError,
    ReadOnlyError,
    OutOfMemoryError,
    MasterDownError,
    ClusterDownError,
    TryAgainError,
)
TEMPORARY_CODES = re.compile(r"(?:^|: )(?:MISCONF|NOREPLICAS|BUSY)\b")
"""Codes without a class in redis-py: no snapshot can be saved, too few replicas, a script runs. In a pipeline's
error the code comes behind the command."""


def is_temporary(error: BaseException) -> bool:
    """Return whether Redis is away or refuses writes for now: a retry may succeed."""
    if isinstance(error, TEMPORARY):
        return True
    return isinstance(error, ResponseError) and TEMPORARY_CODES.search(str(error)) is not None
