"""Increments of running totals, for several writers and repeated writes."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from include.contracts.index_documents import COUNTED, PipelineEvent
from include.serving.pipeline_events import Counter, counter_increments, document_id

AT = datetime(2026, 11, 23, 8, 15, 30, 250_900, tzinfo=UTC)
RAW = PipelineEvent(at=AT, kind="stage", stage="ingest", name="raw", value=0, total=10, detail=None)
LAG = PipelineEvent(at=AT, kind="lag", stage="gate", name="gate", value=0, total=None, detail=None)


def test_counter_increments_first_total_is_the_increment() -> None:
    assert counter_increments([RAW], {}) == [replace(RAW, value=10.0)]


def test_counter_increments_unchanged_counter_is_omitted_but_not_a_lag() -> None:
    assert counter_increments([RAW, LAG], {Counter.from_event(RAW): 10.0}) == [LAG]


def test_counter_increments_unchanged_counter_is_stored_in_a_new_index() -> None:
    counter = Counter.from_event(RAW)
    assert counter_increments([RAW], {counter: 10.0}, {counter}) == [replace(RAW, value=0.0)]


def test_counter_increments_decreased_total_is_zero_with_a_detail() -> None:
    assert counter_increments([RAW], {Counter.from_event(RAW): 80.0}) == [
        replace(RAW, value=0.0, detail="fell from 80 to 10")
    ]


def test_counter_increments_counters_are_independent() -> None:
    others = [replace(RAW, stage="gate"), replace(RAW, name="decided"), replace(RAW, kind="rejected")]
    assert [event.value for event in counter_increments([RAW, *others], {Counter.from_event(RAW): 4.0})] == [
        6.0,
        10.0,
        10.0,
        10.0,
    ]


@given(st.lists(st.integers(0, 50), max_size=30))
def test_counter_increments_sum_equals_the_total(steps: list[int]) -> None:
    totals: dict[Counter, float] = {}
    total, sum_of_increments = 0, 0.0
    for number, step in enumerate(steps):
        total += step
        event = replace(RAW, at=AT + timedelta(minutes=number), total=float(total))
        for stored_event in counter_increments([event], totals):
            sum_of_increments += stored_event.value
            totals[Counter.from_event(stored_event)] = stored_event.total or 0.0
    assert sum_of_increments == total


def test_document_id_differs_by_time_kind_stage_and_name() -> None:
    assert document_id(RAW) == "2026-11-23T08:15:30.250Z|stage|ingest|raw"
    changes: list[dict[str, Any]] = [
        {"at": AT + timedelta(seconds=1)},
        {"kind": "dead_letter"},
        {"stage": "gate"},
        {"name": "other"},
    ]
    assert len({document_id(RAW), *(document_id(replace(RAW, **change)) for change in changes)}) == 5
    assert document_id(replace(RAW, value=5.0, total=7.0, detail="x")) == document_id(RAW)


def test_counted_kinds_are_stage_rejected_and_dead() -> None:
    assert {"stage", "rejected", "dead_letter"} == COUNTED
