"""Records that the broker refuses: one request each until they are verdicts, then full batches again."""

import pytest

from include.contracts import topics
from include.contracts.errors import TerminalError
from include.gate.decide import Output
from include.gate.oversize import SINGLE_COMMITS, OversizeRecords
from include.gate.sink import OversizeError

LARGE = Output(topics.VALID, 0, b"k", b"v", [], (0, 5))
SMALL = Output(topics.VALID, 0, b"k", b"v", [], (0, 6))


def test_a_refused_batch_is_sent_record_by_record() -> None:
    records = OversizeRecords()
    assert not records.single
    records.refused(OversizeError([]))
    assert records.single
    assert not records.origins


def test_full_batches_return_after_the_verdicts_and_some_commits() -> None:
    records = OversizeRecords()
    records.refused(OversizeError([]))
    records.refused(OversizeError([LARGE]))
    assert records.origins == {(0, 5)}
    for _ in range(SINGLE_COMMITS):
        records.committed([SMALL])
    assert not records.is_over()
    records.committed([LARGE, SMALL])
    assert records.origins == set()
    assert records.is_over()
    assert not records.single
    assert not records.is_over()


def test_a_refusal_starts_the_count_anew() -> None:
    records = OversizeRecords()
    records.refused(OversizeError([]))
    for _ in range(SINGLE_COMMITS - 1):
        records.committed([SMALL])
    records.refused(OversizeError([LARGE]))
    records.committed([LARGE])
    assert not records.is_over()


def test_a_refused_verdict_is_terminal() -> None:
    records = OversizeRecords()
    records.refused(OversizeError([LARGE]))
    with pytest.raises(TerminalError, match="refuses even 1 bytes"):
        records.refused(OversizeError([LARGE]))
