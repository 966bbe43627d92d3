"""Decided origins: counts, repeats, and the intervals left to read."""

import pytest

from include.supervise.origins import Origins

SPAN = ({0: 100, 1: 7}, {0: 117, 1: 7})


def test_origins_with_a_decision_on_each_offset_leave_nothing_undecided() -> None:
    origins = Origins(*SPAN)
    for offset in reversed(range(100, 117)):
        origins.add(0, offset)
    assert (origins.decided, origins.repeated, origins.undecided_ends()) == (17, 0, {})
    assert all(origins.has(0, offset) for offset in range(100, 117))


def test_origins_with_one_lost_and_one_repeated_offset_keep_them_apart() -> None:
    origins = Origins(*SPAN)
    for offset in (*range(100, 108), *range(109, 117), 116):
        origins.add(0, offset)
    assert (origins.decided, origins.repeated, origins.undecided_ends()) == (16, 1, {0: 117})
    assert [offset for offset in range(100, 117) if not origins.has(0, offset)] == [108]


@pytest.mark.parametrize(("partition", "offset"), [(0, 99), (0, 117), (1, 7), (2, 100), (-1, 0)])
def test_origins_outside_of_the_span_are_ignored(partition: int, offset: int) -> None:
    origins = Origins(*SPAN)
    origins.add(partition, offset)
    assert (origins.decided, origins.repeated) == (0, 0)


def test_origins_of_an_empty_span_are_complete() -> None:
    assert Origins({0: 3}, {0: 3}).undecided_ends() == {}
