"""Figures as people read them."""

import pytest

from showroom.pages import wording


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, wording.UNKNOWN),
        (0, "0 s"),
        (0.42, "0.4 s"),
        (9.96, "10.0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (214, "3 min 34 s"),
        (3_600, "1 h"),
        (7_384, "2 h 3 min"),
        (90_000, "1 d 1 h"),
        (-90, "\N{MINUS SIGN}1 min 30 s"),
    ],
)
def test_a_span_is_said_in_its_two_largest_units(seconds: float | None, text: str) -> None:
    assert wording.span(seconds) == text


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [
        (112, 100, "+12 %"),
        (88, 100, "\N{MINUS SIGN}12 %"),
        (100.2, 100, "±0 %"),
        (0, 100, "\N{MINUS SIGN}100 %"),
        (5, 0, ""),
        (1_400, 100, "\N{MULTIPLICATION SIGN}14"),
        (9_900, 100, "\N{MULTIPLICATION SIGN}99"),
        (10_000, 100, ""),
    ],
)
def test_a_change_is_said_against_what_was_before(now: float, before: float, text: str) -> None:
    assert wording.change(now, before) == text


def test_amounts() -> None:
    assert [wording.money(amount) for amount in (None, 0, 12_345.6, 4_470_000)] == [
        wording.UNKNOWN,
        "0",
        "12,346",
        "4.47 M",
    ]
    assert wording.whole(1_234_567) == "1,234,567"
    assert wording.share(0.1249) == "12.5 %"
