"""Waiting in tests: until something is so, never for a time."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

_T = TypeVar("_T")


def eventually(look: Callable[[], _T], within_s: float = 30.0, every_s: float = 0.1) -> _T:
    """The first true answer of `look`; an assertion error when none comes in time. Its errors count as no answer."""
    last: list[object] = []

    def attempt() -> _T | None:
        try:
            response = look()
        except Exception as error:
            last[:] = [error]
            return None
        last[:] = [response]
        return response

    def give_up(_: object) -> _T:
        raise AssertionError(f"not so within {within_s:g} s; the last answer was {last[0]!r}")

    retrying = Retrying(
        retry=retry_if_result(lambda response: not response),
        stop=stop_after_delay(within_s),
        wait=wait_fixed(every_s),
        retry_error_callback=give_up,
    )
    return retrying(attempt)  # type: ignore[return-value]
