"""The gate's state in Redis: one call returns the verdicts of a partition's batch, atomically and idempotently.

The stateful rules are in claims.lua and state.lua, one Redis Function that is stored with the data.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from redis.exceptions import ResponseError
from tenacity import RetryCallState, wait_exponential_jitter

from include.clients.errors import with_retries
from include.clients.redis import connect, is_unavailable
from include.contracts import redis_keys
from include.contracts.reject_reasons import Reason
from include.contracts.settings import Settings
from include.gate.clock import Clock
from include.gate.function import Function
from include.gate.shutdown import ShutdownSignal

log = logging.getLogger(__name__)

BLOOM_ERROR = 0.001
CLAIM_MIN_GRACE_S = 3_600
"""Minimum retention of a claim beyond its window: a batch delayed by a Kafka outage must find its verdicts."""

RATE_TTL_S = 2 * 3_600
DAY_TTL_S = 90 * 86_400
TIMEOUT_S = 10.0
MAX_WAIT_S = 5.0

ALREADY_REJECTED, NEW, KNOWN = "-", "n", "k"
REFUSALS: dict[str, Reason] = {
    "D": Reason.DUPLICATE,
    "U": Reason.BLOCKED_USER,
    "N": Reason.BLOCKED_NETWORK,
    "P": Reason.IMPOSSIBLE_PACE,
    "R": Reason.RATE_USER,
    "W": Reason.RATE_NETWORK,
    "V": Reason.UNKNOWN_DEVICE,
    "F": Reason.UNKNOWN_REFERRER,
    "E": Reason.DEDUP_ENTRY_EXPIRED,
}

Result = TypeVar("Result")
Row = tuple[Any, ...]


def refused_row(offset: int, reason: Reason) -> Row:
    """Return the row of a record that stateless validation rejected: it is only counted."""
    return (offset, reason.value)


@dataclass(frozen=True)
class Batch:
    """Rows of one partition in offset order; state.lua defines their shapes."""

    partition: int
    rows: Sequence[Row]


class GateState:
    """Client of the gate's state. Retries while Redis is unavailable, logs each attempt, and ends on a stop request."""

    def __init__(self, settings: Settings, topic_id: str, stop: ShutdownSignal, unix_time: Clock = time.time) -> None:
        self._unix_time = unix_time
        self._redis = connect(settings.redis.url.reveal(), timeout_s=TIMEOUT_S)
        window_s = settings.gate.duplicate_window_s
        self._limits = msgspec.msgpack.encode(
            [
                window_s * 1000,
                settings.gate.max_user_sessions_per_minute,
                settings.gate.max_network_sessions_per_minute,
                settings.gate.bloom_capacity,
                topic_id,
                RATE_TTL_S,
                DAY_TTL_S,
                str(BLOOM_ERROR),
                redis_keys.sub_window_ms(window_s),
                window_s + max(window_s, CLAIM_MIN_GRACE_S),
            ]
        )
        self._encode = msgspec.msgpack.Encoder().encode
        self._stop = stop
        self._function = Function(self._redis)
        self._with_retries(self._function.load)

    def decide(self, batches: Sequence[Batch]) -> list[str]:
        """Return the verdict letters of each batch, in one round trip."""
        return self._with_retries(lambda: self._decide(batches))

    def beat(self, partitions: Sequence[int]) -> None:
        """Send the heartbeat of an idle gate process for these partitions."""

        def beat() -> None:
            with self._redis.pipeline(transaction=False) as pipe:
                for partition in partitions:
                    pipe.set(redis_keys.heartbeat(partition), self._now_ms())
                self._function.mark_used(pipe)
                pipe.execute()

        self._with_retries(beat)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _decide(self, batches: Sequence[Batch]) -> list[str]:
        try:
            return self._call(batches)
        except ResponseError as error:
            if "Function not found" not in str(error):
                raise
            log.warning("redis has lost the gate's function, loading it again")
            self._function.load()
            return self._call(batches)

    def _call(self, batches: Sequence[Batch]) -> list[str]:
        with self._redis.pipeline(transaction=False) as pipe:
            for batch in batches:
                names = _keys_of(batch.partition)
                pipe.fcall(
                    self._function.name, len(names), *names, self._limits, self._encode(batch.rows), str(self._now_ms())
                )
            responses: list[bytes] = pipe.execute()
        return [response.decode() for response in responses]

    def _now_ms(self) -> int:
        return int(self._unix_time() * 1_000)

    def _with_retries(self, call: Callable[[], Result]) -> Result:
        return with_retries(
            call,
            wait=wait_exponential_jitter(multiplier=0.1, max=MAX_WAIT_S),
            retry_on=is_unavailable,
            before_sleep=_log_wait,
            sleep=self._stop.wait,
        )


def _keys_of(partition: int) -> tuple[str, ...]:
    return (
        redis_keys.tag(partition),
        redis_keys.counts(partition),
        redis_keys.bloom_items(partition),
        redis_keys.users_unique(partition),
        redis_keys.heartbeat(partition),
        redis_keys.blocked_users(partition),
        redis_keys.blocked_networks(partition),
    )


def _log_wait(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning("waiting for redis, attempt %d: %s: %s", state.attempt_number, type(error).__name__, error)
