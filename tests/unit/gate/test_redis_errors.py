"""Which errors of Redis the gate waits for."""

import pytest
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from include.gate.redis_errors import is_temporary


@pytest.mark.parametrize(
    ("error", "temporary"),
    [
        (ConnectionError("refused"), True),
        (TimeoutError("no answer"), True),
        (BusyLoadingError("loading"), True),
        (ReadOnlyError("a replica"), True),
        (OutOfMemoryError("maxmemory"), True),
        (ResponseError("MISCONF Redis is configured to save RDB snapshots, but it's unable to persist"), True),
        (ResponseError("NOREPLICAS Not enough good replicas to write."), True),
        (ResponseError("Command # 1 (FCALL f 7 k) of pipeline caused error: NOREPLICAS Not enough"), True),
        (ResponseError("BUSY Redis is busy running a script."), True),
        (ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"), False),
        (ResponseError("a value named NOREPLICAS"), False),
        (ResponseError("BUSYGROUP Consumer Group name already exists"), False),
        (ValueError("MISCONF"), False),
        (RedisError("unknown"), False),
    ],
)
def test_is_temporary(error: Exception, temporary: bool) -> None:
    assert is_temporary(error) is temporary
