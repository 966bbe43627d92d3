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


class PastVisit(NamedTuple):
    user: int
    started: int
    duration: int
    made: bool


def history_of(visits: list[PastVisit], *, since: int = 0, days: float = 400) -> Matrix:
    arrays = history.Visits(
        user=np.array([visit.user for visit in visits], dtype=np.int64),
        started_us=np.array([visit.started for visit in visits], dtype=np.int64),
        ended_us=np.array([visit.started + visit.duration for visit in visits], dtype=np.int64),
        made=np.array([visit.made for visit in visits], dtype=np.bool_),
    )
    return history.columns(arrays, since_us=since, days=days)


def naive_history(visits: list[PastVisit], at: int, *, since: int, days: float) -> list[float]:
    """Return the columns of one visit by a naive loop."""
    visit = visits[at]
    earlier = [
        other
        for other in visits
        if other.user == visit.user and visit.started - days * DAY <= other.started + other.duration < visit.started
    ]
    purchases = sum(other.made for other in earlier)
    last = max((other.started + other.duration for other in earlier), default=0)
    observed = min(max(visit.started - since, DAY), max(days * DAY, DAY)) / DAY
    return [
        len(earlier),
        purchases,
        purchases / len(earlier) if earlier else float("nan"),
        (visit.started - last) / DAY if earlier else float("nan"),
        len(earlier) / observed,
    ]


visit = st.builds(PastVisit, st.integers(0, 3), st.integers(0, 40), st.integers(0, 15), st.booleans())


@settings(max_examples=150, deadline=None)
@given(st.lists(visit, max_size=25), st.sampled_from([0.5, 3, 400]))
def test_history_equals_naive_counting(visits: list[PastVisit], days: float) -> None:
    hours = DAY // 8
    scaled = [visit._replace(started=visit.started * hours, duration=visit.duration * hours) for visit in visits]
    result = history_of(scaled, days=days)
    expected = [naive_history(scaled, at, since=0, days=days) for at in range(len(scaled))]
    np.testing.assert_allclose(result, np.array(expected).reshape(-1, len(HISTORY)), rtol=1e-6)


@settings(max_examples=100, deadline=None)
@given(st.lists(visit, min_size=1, max_size=15), st.lists(visit, max_size=15), st.data())
def test_history_excludes_unfinished_visits(
    visits: list[PastVisit], others: list[PastVisit], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(visits) - 1))
    visit = visits[at]
    unfinished = [other for other in others if other.started + other.duration >= visit.started]
    flipped = [
        other._replace(made=not other.made) if other.started + other.duration >= visit.started else other
        for other in visits
    ]
    without_others = history_of(visits)[at]
    np.testing.assert_array_equal(history_of([*flipped, *unfinished])[at], without_others)


def test_history_of_ten_thousand_visits_is_fast() -> None:
    visits = [PastVisit(7, at * DAY // 1_000, 1, at % 4 == 0) for at in range(10_000)]
    began = time.perf_counter()
    result = history_of(visits)
    assert time.perf_counter() - began < 2
    assert result[-1, 0] == 9_999
    assert result[-1, 1] == 2_500
    assert result[:, 0].tolist() == list(range(10_000))


def test_history_excludes_overlapping_visits() -> None:
    result = history_of(
        [PastVisit(1, 0, 10, True), PastVisit(1, 5, 1, False), PastVisit(1, 10, 1, False), PastVisit(1, 12, 0, False)]
    )
    assert result[:, 0].tolist() == [0, 0, 1, 3]
    assert result[:, 1].tolist() == [0, 0, 0, 1]


def test_history_without_visits_is_empty() -> None:
    assert history_of([]).shape == (0, len(HISTORY))


def test_times_far_from_1970() -> None:
    late = 253_402_300_799_000_000
    result = history_of([PastVisit(10**6, late, 1, True), PastVisit(10**6, late + DAY, 1, False)], since=late)
    assert result[1, :2].tolist() == [1, 1]
    assert result[1, 3] == pytest.approx(1.0)
