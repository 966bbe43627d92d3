"""Totals become what they grew by, whoever writes them and however often."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from include.contracts.documents import COUNTED, PipelineEvent
from include.serving.pipeline import Counter, grown, identity

AT = datetime(2026, 11, 23, 8, 15, 30, 250_900, tzinfo=UTC)
RAW = PipelineEvent(at=AT, kind="stage", stage="ingest", name="raw", value=0, total=10, detail=None)
LAG = PipelineEvent(at=AT, kind="lag", stage="gate", name="gate", value=0, total=None, detail=None)


def test_the_first_total_has_grown_from_nothing() -> None:
    assert grown([RAW], {}) == [replace(RAW, value=10.0)]


def test_a_counter_that_stands_still_is_left_out_and_a_lag_of_nothing_is_not() -> None:
    assert grown([RAW, LAG], {Counter.of(RAW): 10.0}) == [LAG]


def test_a_counter_that_stands_still_is_told_once_in_a_new_index() -> None:
    counter = Counter.of(RAW)
    assert grown([RAW], {counter: 10.0}, {counter}) == [replace(RAW, value=0.0)]


def test_a_total_that_fell_grew_by_nothing_and_says_so() -> None:
    assert grown([RAW], {Counter.of(RAW): 80.0}) == [replace(RAW, value=0.0, detail="fell from 80 to 10")]


def test_counters_do_not_mix() -> None:
    others = [replace(RAW, stage="gate"), replace(RAW, name="decided"), replace(RAW, kind="rejected")]
    assert [event.value for event in grown([RAW, *others], {Counter.of(RAW): 4.0})] == [6.0, 10.0, 10.0, 10.0]


@given(st.lists(st.integers(0, 50), max_size=30))
def test_what_it_grew_by_adds_up_to_the_total(steps: list[int]) -> None:
    known: dict[Counter, float] = {}
    total, added = 0, 0.0
    for number, step in enumerate(steps):
        total += step
        event = replace(RAW, at=AT + timedelta(minutes=number), total=float(total))
        for made in grown([event], known):
            added += made.value
            known[Counter.of(made)] = made.total or 0.0
    assert added == total


def test_ids_tell_time_kind_stage_and_name_apart() -> None:
    assert identity(RAW) == "2026-11-23T08:15:30.250Z|stage|ingest|raw"
    changes: list[dict[str, Any]] = [
        {"at": AT + timedelta(seconds=1)},
        {"kind": "dead"},
        {"stage": "gate"},
        {"name": "other"},
    ]
    assert len({identity(RAW), *(identity(replace(RAW, **change)) for change in changes)}) == 5
    assert identity(replace(RAW, value=5.0, total=7.0, detail="x")) == identity(RAW)


def test_only_counters_have_a_total_that_grows() -> None:
    assert {"stage", "rejected", "dead"} == COUNTED
