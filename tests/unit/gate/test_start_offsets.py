"""Start offsets of the gate: no fallback."""

import pytest
from msgspec.structs import replace

from include.contracts.offset_gap import OffsetGap, ResumeFrom
from include.gate.start_offsets import Committed, Log, Resume, Start, decide_start, gap_at

GAP = OffsetGap(partition=3, kind="expired", from_offset=5, to_offset=10, detected_at=1.0, topic_id="t")
LOG = Log(10, 20)


def decide(committed: Committed | None, stopped: OffsetGap | None = None) -> Start | Resume | OffsetGap:
    return decide_start(3, committed, LOG, "t", stopped, now=1.0)


def test_start_without_commit_is_the_first_offset() -> None:
    start = decide(None)
    assert isinstance(start, Start)
    assert (start.offset, bool(start.reason)) == (10, True)


@pytest.mark.parametrize("offset", [10, 15, 20])
def test_start_within_the_log_is_the_committed_offset(offset: int) -> None:
    assert decide(Committed(offset, "t", 4)) == Start(offset, 4)


def test_start_below_the_log_stops_as_expired() -> None:
    assert decide(Committed(5, "t")) == GAP


def test_start_beyond_the_log_stops_as_truncated() -> None:
    assert decide(Committed(25, "t")) == replace(GAP, kind="truncated", from_offset=20, to_offset=25)


def test_start_with_other_topic_id_is_the_first_offset() -> None:
    start = decide(Committed(25, "older"))
    assert isinstance(start, Start)
    assert start.offset == 10


def test_start_of_stopped_partition_remains_stopped() -> None:
    assert decide(Committed(15, "t"), GAP) == GAP


@pytest.mark.parametrize(
    ("resume", "from_offset", "offset"),
    [("earliest", 5, 10), ("latest", 5, 20), ("gap", 5, 10), ("gap", 15, 15), ("gap", 25, 20)],
)
def test_start_of_resumed_partition_is_the_requested_offset(resume: ResumeFrom, from_offset: int, offset: int) -> None:
    stopped = replace(GAP, resume=resume, from_offset=from_offset)
    assert decide(Committed(5, "t"), stopped) == Resume(offset, stopped)


def test_start_ignores_stop_of_an_older_topic() -> None:
    assert decide(None, replace(GAP, topic_id="older")) == decide(None)


@pytest.mark.parametrize(
    ("gap", "text"),
    [
        (GAP, "partition 3: offsets 5 to 9 deleted before the gate read them"),
        (replace(GAP, to_offset=6), "partition 3: offset 5 deleted before the gate read them"),
        (replace(GAP, kind="truncated"), "partition 3: the log no longer has offsets 5 to 9"),
        (replace(GAP, kind="truncated", to_offset=5), "partition 3: the log no longer has offset 5"),
    ],
)
def test_gap_description_has_the_lost_offsets(gap: OffsetGap, text: str) -> None:
    assert gap.description == text


@pytest.mark.parametrize(("position", "kind"), [(5, "expired"), (15, "truncated"), (30, "truncated")])
def test_gap_of_refused_position_has_its_kind(position: int, kind: str) -> None:
    assert gap_at(3, position, LOG, "t", 1.0).kind == kind
