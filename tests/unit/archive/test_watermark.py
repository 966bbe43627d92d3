"""Watermarks against the ends of the topic, and what the errors say to do."""

import pytest

from include.archive.watermark import Gap, require_below
from include.contracts.errors import TerminalError


def test_a_gap_counts_its_offsets() -> None:
    assert Gap("t", 0, 5, 9).offsets == 4


def test_a_watermark_at_the_end_is_well() -> None:
    require_below({0: 5, 1: 0}, {0: 5, 1: 9}, "t")


def test_each_watermark_behind_its_end_is_named() -> None:
    with pytest.raises(TerminalError, match=r"t:0 \(6 of 5\), t:2 \(1 of 0\)") as raised:
        require_below({0: 6, 1: 0, 2: 1}, {0: 5, 1: 9, 2: 0}, "t")
    assert "./showroom archive reset-offsets --yes" in raised.value.remedy
