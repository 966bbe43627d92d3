"""The error of an unavailable server, and retries, shared by all clients."""

import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, stop_after_delay, stop_any
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from include.contracts.errors import TransientError

CHECK_STATUS = "check that it runs: ./showroom status"
MAX_REASON_CHARACTERS = 300

_T = TypeVar("_T")
Predicate = Callable[[BaseException], bool]


def unavailable(operation: str, server: str, cause: BaseException | str, action: str = CHECK_STATUS) -> TransientError:
    """Build the error for a server that cannot be reached or does not respond in time.

    Args:
        operation: What failed, for example `read sessions`.
        server: Name of the server, with its address if that helps.
        cause: The client's error, of which only the type is named, or a text.
        action: Remedy for the operator.
    """
    reason = cause if isinstance(cause, str) else type(cause).__name__
    return TransientError(f"{operation} failed: {server} is unavailable ({reason})", action)


def with_retries(
    call: Callable[[], _T],
    *,
    wait: wait_base,
    deadline_s: float | None = None,
    attempts: int | None = None,
    retry_on: type[BaseException] | tuple[type[BaseException], ...] | Predicate = TransientError,
    before_sleep: Callable[[RetryCallState], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> _T:
    """Call until it succeeds, and raise its last error past the deadline or the number of attempts.

    Args:
        call: The call. It must be safe to repeat.
        wait: Time between two attempts, as tenacity defines it.
        deadline_s: Seconds after which no new attempt begins; None for no limit.
        attempts: Largest number of attempts; None for no limit.
        retry_on: Errors that are retried: types, or a predicate. All others are raised at once.
        before_sleep: Called before each wait, for example to log the error.
        sleep: Waits; it may raise to end the retries.
    """
    limits: list[stop_base] = [] if deadline_s is None else [stop_after_delay(deadline_s)]
    if attempts is not None:
        limits.append(stop_after_attempt(attempts))
    retrying = Retrying(
        retry=retry_if_exception(_predicate(retry_on)),
        stop=stop_any(*limits),
        wait=wait,
        before_sleep=before_sleep,
        sleep=sleep,
        reraise=True,
    )
    return retrying(call)


def _predicate(retry_on: type[BaseException] | tuple[type[BaseException], ...] | Predicate) -> Predicate:
    if isinstance(retry_on, type | tuple):
        kinds = retry_on
        return lambda error: isinstance(error, kinds)
    return retry_on
