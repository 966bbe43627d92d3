"""The stage equation of one hour: differences, their stage, and when a comparison is not possible yet."""

from datetime import UTC, datetime
from typing import Any

import pytest

from include.serving.retention import old_indices
from include.supervise.reconcile import (
    BY_SESSION,
    IN_MONGODB,
    Evidence,
    Reconciliation,
    Rows,
    StageCount,
    gate_line,
    merge,
    oldest_month,
    store_line,
    undecided_line,
)

HOUR = datetime(2026, 11, 23, 8, tzinfo=UTC)
VALID, DETAILS, REVIEWS = 80, 200, 30
FEW = {
    "partitions": {
        "0": Rows(session_summary=3, product_details=8, product_sentiment=1),
        "1": Rows(session_summary=77, product_details=192, product_sentiment=29),
    }
}
"""Partition 0 has three sessions of the hour, independent of its lag."""


def evidence(**changes: Any) -> Evidence:
    """An hour of 100 raw records, of which 20 were rejected."""
    rows = Rows(session_summary=VALID, product_details=DETAILS, product_sentiment=REVIEWS)
    base: dict[str, Any] = {
        "raw": 100,
        "rejected": {"duplicate": 15, "empty": 5},
        "months": {"2026-11": rows},
        "bounds": {"0": 500, "1": 700},
    }
    return Evidence(**(base | changes))


def hour(actual: dict[str, int], stream: int = 0, archive: int = 0, **changes: Any) -> Reconciliation:
    """Return the hour with counts of the stores, and the offsets of partition 0 that readers have not passed."""
    kafka = evidence(**changes)
    lines = [gate_line(kafka)]
    for index in BY_SESSION:
        expected = kafka.expected(index, "2025-10")
        in_flight = kafka.in_flight(index, {0: 500 - stream, 1: 700})
        lines.append(store_line("stream", index, expected, expected + actual.get(index, 0), in_flight))
    in_flight = kafka.in_flight(IN_MONGODB, {0: 500 - archive, 1: 700})
    lines.append(store_line("archive", IN_MONGODB, kafka.valid, kafka.valid + actual.get(IN_MONGODB, 0), in_flight))
    return Reconciliation(HOUR, tuple(lines))


@pytest.mark.parametrize(
    ("what", "match", "waiting", "changes", "owner", "state"),
    [
        ("all is well", {}, (0, 0), {}, None, "balanced"),
        ("no input", {}, (0, 0), {"raw": 0, "rejected": {}, "months": {}, "bounds": {}}, None, "balanced"),
        ("all refused", {}, (0, 0), {"rejected": {"empty": 100}, "months": {}}, None, "balanced"),
        ("one summary lost", {"session_summary": -1}, (0, 0), {}, "stream", "difference"),
        ("one product row lost", {"product_details": -1}, (0, 0), {}, "stream", "difference"),
        ("one review lost", {"product_sentiment": -1}, (0, 0), {}, "stream", "difference"),
        ("one lost by the archive", {IN_MONGODB: -1}, (0, 0), {}, "archive", "difference"),
        ("one missing while the stream is behind", {"session_summary": -1}, (5, 0), {}, None, "pending"),
        ("nothing missing while the stream is behind", {}, (5, 0), {}, None, "pending"),
        ("rows missing while the stream is behind", {"product_details": -20}, (5, 0), {}, None, "pending"),
        ("more missing than in flight", {"session_summary": -6}, (5, 0), {}, "stream", "difference"),
        ("one too many while the stream is behind", {"session_summary": 1}, (5, 0), {}, "stream", "difference"),
        ("ten missing while the archive is behind", {IN_MONGODB: -10}, (0, 10), {}, None, "pending"),
        ("both lost some", {"session_summary": -1, IN_MONGODB: -1}, (0, 0), {}, "stream", "difference"),
        ("the gate lost two", {}, (0, 0), {"raw": 102}, "gate", "difference"),
        ("the gate made one up", {}, (0, 0), {"raw": 99}, "gate", "difference"),
        ("the gate lost one and doubled one", {}, (0, 0), {"repeated": 1}, "gate", "difference"),
        ("the gate only doubled one", {}, (0, 0), {"raw": 99, "repeated": 1}, "gate", "difference"),
        ("no more missing than behind in one partition", {"session_summary": -3}, (400, 0), FEW, None, "pending"),
        ("more missing than one partition has", {"session_summary": -4}, (400, 0), FEW, "stream", "difference"),
        ("more rows missing than one partition has", {"product_details": -9}, (400, 0), FEW, "stream", "difference"),
        ("more archived sessions missing", {IN_MONGODB: -4}, (0, 400), FEW, "archive", "difference"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_hour_with_counts_has_first_mismatched_stage_and_state(
    what: str, match: dict[str, int], waiting: tuple[int, int], changes: dict[str, Any], owner: str | None, state: str
) -> None:
    result = hour(match, *waiting, **changes)
    assert (result.first_mismatched_stage, result.state) == (owner, state), what
    assert (result.is_balanced, result.is_pending) == (owner is None, state == "pending" or result.is_pending)


def test_hour_that_is_not_decided_is_pending() -> None:
    result = Reconciliation(HOUR, (undecided_line(100, 10),))
    assert (result.state, result.lines[0].text) == ("pending", "decided 90 of 100 expected, at most 10 in flight")


def test_dead_letters_explain_what_is_missing() -> None:
    line = StageCount(stage="stream", what="session_summary", expected=80, actual=79, dead=1)
    assert (line.is_mismatched, line.text) == (False, "session_summary 79 of 80 expected, 1 dead letters")


def test_line_text_names_what_is_missing() -> None:
    line = StageCount(stage="stream", what="session_summary", expected=52_890, actual=52_889)
    assert line.text == "session_summary 52,889 of 52,890 expected, 1 missing"
    assert (
        StageCount(stage="archive", what=IN_MONGODB, expected=1, actual=2).text
        == "in MongoDB 2 of 1 expected, 1 too many"
    )


def test_gate_line_text_names_lost_and_repeated_records() -> None:
    line = gate_line(evidence(raw=101, repeated=2))
    assert line.text == "admitted 78 of 81 expected, 3 missing, 2 decided twice"


def test_waiting_counts_offsets_below_the_bounds_of_the_hour_only() -> None:
    kafka = evidence()
    assert kafka.waiting({0: 500, 1: 700}) == 0
    assert kafka.waiting({0: 9_999, 1: 699}) == 1
    assert kafka.waiting({}) == 1_200


def test_expected_omits_months_that_retention_deletes() -> None:
    old = Rows(session_summary=7, product_details=9)
    kafka = evidence(months={"2019-02": old, "2026-11": Rows(session_summary=73, product_details=1)})
    assert (kafka.expected("session_summary", "2025-10"), kafka.expected("product_details", "2025-10")) == (73, 1)
    assert (kafka.expected("session_summary", "2019-02"), kafka.valid) == (80, 80)


@pytest.mark.parametrize("months", [1, 11, 12, 13, 25])
@pytest.mark.parametrize("now", [datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)])
def test_oldest_month_is_the_oldest_that_retention_keeps(now: datetime, months: int) -> None:
    oldest = oldest_month(now, months)
    name = f"session_summary-{oldest.replace('-', '.')}"
    year, month = (int(part) for part in oldest.split("-"))
    before = f"session_summary-{year - (month == 1):04d}.{(month - 2) % 12 + 1:02d}"
    assert old_indices([name, before], "session_summary", months, now) == [before]


def test_merge_adds_hours_and_retains_the_last_bounds() -> None:
    day = merge([evidence(), evidence(bounds={"1": 900, "2": 3}), evidence(raw=0, months={}, bounds={}, rejected={})])
    assert (day.raw, day.valid, day.rejected) == (200, 160, {"duplicate": 30, "empty": 10})
    assert day.bounds == {"0": 500, "1": 900, "2": 3}
    assert evidence().valid == VALID, "merging has changed an hour"
