"""When the gate sends one record per request, and when full batches again."""

from collections.abc import Sequence
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from include.contracts import topics
from include.contracts.errors import TerminalError
from include.gate.batch_processor import Output
from include.gate.oversize import Oversize, OversizeSink
from include.gate.sink import OversizeError
from include.gate.source import ReassignmentError


def output(partition: int, offset: int) -> Output:
    return Output(topics.VALID, partition, b"k", b"v", [], (partition, offset))


def places(**offsets: int) -> list[TopicPartition]:
    return [TopicPartition(topics.RAW, int(name[1:]), offset) for name, offset in offsets.items()]


class FakeSink:
    """Rejects the given outputs."""

    def __init__(self) -> None:
        self.refuses: list[Output] | None = None

    def commit(self, outputs: Sequence[Output], offsets: list[TopicPartition], group: Any) -> None:
        if self.refuses is not None:
            raise OversizeError(self.refuses)


def test_sink_with_refused_batch_is_single_until_its_offsets_are_committed() -> None:
    oversize, fake = Oversize(), FakeSink()
    sink = OversizeSink(fake, oversize)
    fake.refuses = []
    with pytest.raises(OversizeError):
        sink.commit([], places(p0=100, p1=50), None)
    assert oversize.single
    fake.refuses = [output(0, 60)]
    with pytest.raises(OversizeError):
        sink.commit([], places(p0=80), None)
    assert oversize.origins == {(0, 60)}
    fake.refuses = None
    sink.commit([], places(p0=80, p1=50), None)
    assert oversize.single
    with pytest.raises(ReassignmentError):
        sink.commit([], places(p0=100), None)
    assert not oversize.single
    assert oversize.origins == set()
    sink.commit([], places(p0=101), None)


def test_note_of_refused_verdict_is_terminal() -> None:
    oversize = Oversize()
    oversize.note([output(0, 1)], places(p0=2))
    with pytest.raises(TerminalError, match="refuses even 1 bytes"):
        oversize.note([output(0, 1)], places(p0=2))


def test_keep_after_reassignment_waits_for_own_partitions_only() -> None:
    oversize = Oversize()
    oversize.note([], places(p0=10, p1=10))
    oversize.keep([])
    assert not oversize.settle(places(p0=10))
    oversize.keep([0])
    assert oversize.settle(places(p0=11))


def test_begin_with_recreated_topic_forgets_its_offsets() -> None:
    oversize = Oversize()
    oversize.begin("a")
    oversize.note([output(0, 1)], places(p0=2))
    oversize.begin("a")
    assert oversize.single
    oversize.begin("b")
    assert not oversize.single
    assert oversize.origins == set()
