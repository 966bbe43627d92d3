"""The error of an unavailable server, and retries."""

from collections.abc import Callable

import pytest
from tenacity import wait_fixed

from include.clients.errors import unavailable, with_retries
from include.contracts.errors import NotReadyError, TerminalError, TransientError


class InterruptedWaitError(Exception):
    pass


def failing(*errors: Exception) -> tuple[Callable[[], str], list[int]]:
    """A call that raises these errors in turn and then returns, and the number of its calls."""
    left, calls = list(errors), [0]

    def call() -> str:
        calls[0] += 1
        if left:
            raise left.pop(0)
        return "done"

    return call, calls


def no_sleep(_: float) -> None:
    pass


def test_unavailable_with_error_names_only_its_type() -> None:
    error = unavailable("read sessions", "MongoDB", OSError("mongodb://user:secret@host"))
    assert isinstance(error, TransientError)
    assert error.message == "read sessions failed: MongoDB is unavailable (OSError)"
    assert error.remedy == "check that it runs: ./showroom status"


def test_unavailable_with_text_and_action_uses_both() -> None:
    error = unavailable("import", "Kibana at http://host", "no route", "check that it runs")
    assert str(error) == "import failed: Kibana at http://host is unavailable (no route): check that it runs"


def test_with_retries_repeats_transient_errors_until_success() -> None:
    call, calls = failing(TransientError("a", "b"), NotReadyError("a", "b"))
    assert with_retries(call, wait=wait_fixed(0), deadline_s=60.0) == "done"
    assert calls == [3]


def test_with_retries_raises_other_errors_at_once() -> None:
    call, calls = failing(TerminalError("a", "b"))
    with pytest.raises(TerminalError):
        with_retries(call, wait=wait_fixed(0))
    assert calls == [1]


@pytest.mark.parametrize("deadline_s", [None, 60.0])
def test_with_retries_after_last_attempt_raises_last_error(deadline_s: float | None) -> None:
    call, calls = failing(*(TransientError(str(number), "b") for number in range(5)))
    with pytest.raises(TransientError, match="2: b"):
        with_retries(call, wait=wait_fixed(0), attempts=3, deadline_s=deadline_s)
    assert calls == [3]


def test_with_retries_past_deadline_raises_last_error() -> None:
    call, calls = failing(*(TransientError("a", "b") for _ in range(5)))
    with pytest.raises(TransientError):
        with_retries(call, wait=wait_fixed(0), deadline_s=0.0)
    assert calls == [1]


def test_with_retries_uses_given_types_and_predicates() -> None:
    call, calls = failing(KeyError("a"), ValueError("b"))
    assert with_retries(call, wait=wait_fixed(0), retry_on=(KeyError, ValueError)) == "done"
    assert calls == [3]
    call, calls = failing(ValueError("passing"), ValueError("lasting"))
    with pytest.raises(ValueError, match="lasting"):
        with_retries(call, wait=wait_fixed(0), retry_on=lambda error: "passing" in str(error))
    assert calls == [2]


def test_with_retries_logs_before_each_sleep() -> None:
    call, _ = failing(TransientError("a", "b"), TransientError("a", "b"))
    attempts: list[int] = []
    with_retries(
        call,
        wait=wait_fixed(5.0),
        before_sleep=lambda state: attempts.append(state.attempt_number),
        sleep=no_sleep,
    )
    assert attempts == [1, 2]


def test_with_retries_ends_when_sleep_raises() -> None:
    def interrupt(_: float) -> None:
        raise InterruptedWaitError

    call, calls = failing(TransientError("a", "b"))
    with pytest.raises(InterruptedWaitError):
        with_retries(call, wait=wait_fixed(5.0), sleep=interrupt)
    assert calls == [1]
