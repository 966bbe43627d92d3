"""Watermarks compared with the ends of the topic, and the remedies of errors."""

import pytest

from include.archive.watermark import Gap, require_below
from include.contracts.errors import TerminalError


def test_gap_offsets_excludes_the_end_offset() -> None:
    assert Gap("t", 0, 5, 9).offsets == 4


def test_require_below_accepts_a_watermark_at_the_end() -> None:
    require_below({0: 5, 1: 0}, {0: 5, 1: 9}, "t")


def test_require_below_names_each_watermark_above_its_end() -> None:
    with pytest.raises(TerminalError, match=r"t:0 \(6 of 5\), t:2 \(1 of 0\)") as raised:
        require_below({0: 6, 1: 0, 2: 1}, {0: 5, 1: 9, 2: 0}, "t")
    assert "./showroom archive reset-offsets --yes" in raised.value.remedy
