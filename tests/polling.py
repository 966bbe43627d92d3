"""Waiting in tests for a condition instead of a fixed time."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

_T = TypeVar("_T")


def eventually(look: Callable[[], _T], within_s: float = 30.0, every_s: float = 0.1) -> _T:
    """Poll until a function returns a true value.

    Args:
        look: Function to poll. An exception counts as a false value.
        within_s: Timeout.
        every_s: Poll interval.

    Returns:
        The first true value.

    Raises:
        AssertionError: There was no true value in time.
    """
    last: list[object] = []

    def attempt() -> _T | None:
        try:
            response = look()
        except Exception as error:
            last[:] = [error]
            return None
        last[:] = [response]
        return response

    def fail(_: object) -> _T:
        raise AssertionError(f"no true value within {within_s:g} s; the last result was {last[0]!r}")

    retrying = Retrying(
        retry=retry_if_result(lambda response: not response),
        stop=stop_after_delay(within_s),
        wait=wait_fixed(every_s),
        retry_error_callback=fail,
    )
    return retrying(attempt)  # type: ignore[return-value]
