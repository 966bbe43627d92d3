"""Formatting of numbers and times."""

import pytest

from showroom.web import formatting


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, formatting.MISSING),
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
def test_format_duration_uses_the_two_largest_units(seconds: float | None, text: str) -> None:
    assert formatting.format_duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "previous", "text"),
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
def test_format_change_compares_with_the_previous_value(value: float, previous: float, text: str) -> None:
    assert formatting.format_change(value, previous) == text


def test_format_money_count_and_percent() -> None:
    assert [formatting.format_money(amount) for amount in (None, 0, 12_345.6, 4_470_000)] == [
        formatting.MISSING,
        "0",
        "12,346",
        "4.47 M",
    ]
    assert formatting.format_count(1_234_567) == "1,234,567"
    assert formatting.format_percent(0.1249) == "12.5 %"
