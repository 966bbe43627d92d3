"""What a viewer asks for, out of an address."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest

from include.contracts.errors import TerminalError
from showroom.pages.asked import Asked, before, read
from tests.pages.sample import NOW


def test_an_empty_address_asks_for_the_last_hour_of_everything() -> None:
    asked = read({}, "shop")
    narrow = asked.narrow(NOW)
    assert (asked.board, asked.span, asked.filters) == ("shop", "hour", {})
    assert narrow.until == datetime(2026, 11, 23, 12, 31, tzinfo=UTC)
    assert narrow.until - narrow.since == timedelta(hours=1)


def test_viewers_of_one_minute_ask_the_same() -> None:
    one, other = read({"span": "week", "device": "mobile"}), read({"device": "mobile", "span": "week", "since": ""})
    assert one == other
    assert one.narrow(NOW) == other.narrow(NOW + timedelta(seconds=30))


def test_a_time_of_ones_own_is_utc_and_needs_no_span() -> None:
    asked = read({"since": "2026-11-01T08:00", "until": "2026-11-02T10:00+02:00"})
    assert asked.span == "custom"
    assert asked.narrow(NOW).since == datetime(2026, 11, 1, 8, tzinfo=UTC)
    assert asked.narrow(NOW).until == datetime(2026, 11, 2, 8, tzinfo=UTC)
    assert before(asked.narrow(NOW)).since == datetime(2026, 10, 31, 8, tzinfo=UTC)


def test_a_span_is_not_mixed_with_a_time() -> None:
    assert read({"span": "day", "since": "2026-11-01T08:00"}) == Asked(span="day")


def test_an_address_leads_back_to_what_was_asked() -> None:
    asked = read({"board": "shop", "category": 'a "b" & <c> 🪑', "since": "2026-11-01T08:00", "until": "2026-11-02"})
    address = asked.address(board="products")
    assert "products" in address
    assert not set('"<> ') & set(address)
    assert read(dict(parse_qsl(asked.address().removeprefix("live?")))) == asked


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"span": "year"}, "no span 'year'"),
        ({"span": "custom", "until": "2026-11-01"}, "since is missing"),
        ({"since": "yesterday", "until": "2026-11-01"}, "since is no time"),
        ({"since": "0001-01-01", "until": "2026-11-01"}, "since is no time"),
        ({"since": "9999-12-31T23:00-09:00", "until": "2026-11-01"}, "since is no time"),
        ({"since": "2026-11-02", "until": "2026-11-01"}, "make no span"),
        ({"since": "2020-01-01", "until": "2026-11-01"}, "make no span"),
        ({"category": "x" * 301}, "category is too long"),
    ],
)
def test_what_makes_no_sense_is_said(given: dict[str, str], message: str) -> None:
    with pytest.raises(TerminalError, match=message):
        read(given)
