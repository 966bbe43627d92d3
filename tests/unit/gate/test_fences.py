"""Limit of fences of a gate within a minute."""

from include.gate.fences import MAX_FENCES, WINDOW_S, FenceCounter


def test_fences_within_the_window_exceed_the_limit() -> None:
    counter = FenceCounter()
    messages = [counter.is_too_often(number * WINDOW_S / MAX_FENCES) for number in range(MAX_FENCES)]
    assert messages == [False] * (MAX_FENCES - 1) + [True]


def test_fences_beyond_the_window_are_borne() -> None:
    counter = FenceCounter()
    assert not any(counter.is_too_often(number * WINDOW_S / (MAX_FENCES - 1)) for number in range(100))
