"""History: all earlier visits that had ended, and no others."""

import time
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.batch.features import history
from include.batch.features.columns import HISTORY
from include.batch.samples import Matrix

DAY = history.DAY_US


class Seen(NamedTuple):
    user: int
    started: int
    duration: int
    made: bool


def computed(seen: list[Seen], *, since: int = 0, days: float = 400) -> Matrix:
    visits = history.Visits(
        user=np.array([one.user for one in seen], dtype=np.int64),
        started_us=np.array([one.started for one in seen], dtype=np.int64),
        ended_us=np.array([one.started + one.duration for one in seen], dtype=np.int64),
        made=np.array([one.made for one in seen], dtype=np.bool_),
    )
    return history.columns(visits, since_us=since, days=days)


def counted(seen: list[Seen], at: int, *, since: int, days: float) -> list[float]:
    """The same by a naive loop."""
    one = seen[at]
    earlier = [
        other
        for other in seen
        if other.user == one.user and one.started - days * DAY <= other.started + other.duration < one.started
    ]
    purchases = sum(other.made for other in earlier)
    last = max((other.started + other.duration for other in earlier), default=0)
    observed = min(max(one.started - since, DAY), max(days * DAY, DAY)) / DAY
    return [
        len(earlier),
        purchases,
        purchases / len(earlier) if earlier else float("nan"),
        (one.started - last) / DAY if earlier else float("nan"),
        len(earlier) / observed,
    ]


visit = st.builds(Seen, st.integers(0, 3), st.integers(0, 40), st.integers(0, 15), st.booleans())


@settings(max_examples=150, deadline=None)
@given(st.lists(visit, max_size=25), st.sampled_from([0.5, 3, 400]))
def test_history_equals_naive_counting(seen: list[Seen], days: float) -> None:
    hours = DAY // 8
    scaled = [one._replace(started=one.started * hours, duration=one.duration * hours) for one in seen]
    result = computed(scaled, days=days)
    expected = [counted(scaled, at, since=0, days=days) for at in range(len(scaled))]
    np.testing.assert_allclose(result, np.array(expected).reshape(-1, len(HISTORY)), rtol=1e-6)


@settings(max_examples=100, deadline=None)
@given(st.lists(visit, min_size=1, max_size=15), st.lists(visit, max_size=15), st.data())
def test_history_excludes_unfinished_visits(seen: list[Seen], others: list[Seen], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(seen) - 1))
    one = seen[at]
    unfinished = [other for other in others if other.started + other.duration >= one.started]
    flipped = [
        other._replace(made=not other.made) if other.started + other.duration >= one.started else other
        for other in seen
    ]
    alone = computed(seen)[at]
    np.testing.assert_array_equal(computed([*flipped, *unfinished])[at], alone)


def test_history_of_ten_thousand_visits_is_fast() -> None:
    seen = [Seen(7, at * DAY // 1_000, 1, at % 4 == 0) for at in range(10_000)]
    began = time.perf_counter()
    result = computed(seen)
    assert time.perf_counter() - began < 2
    assert result[-1, 0] == 9_999
    assert result[-1, 1] == 2_500
    assert result[:, 0].tolist() == list(range(10_000))


def test_history_excludes_overlapping_visits() -> None:
    result = computed([Seen(1, 0, 10, True), Seen(1, 5, 1, False), Seen(1, 10, 1, False), Seen(1, 12, 0, False)])
    assert result[:, 0].tolist() == [0, 0, 1, 3]
    assert result[:, 1].tolist() == [0, 0, 0, 1]


def test_no_visits() -> None:
    assert computed([]).shape == (0, len(HISTORY))


def test_times_far_from_1970() -> None:
    late = 253_402_300_799_000_000
    result = computed([Seen(10**6, late, 1, True), Seen(10**6, late + DAY, 1, False)], since=late)
    assert result[1, :2].tolist() == [1, 1]
    assert result[1, 3] == pytest.approx(1.0)
