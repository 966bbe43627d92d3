"""Query parameters of the Live page."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest

from include.contracts.errors import TerminalError
from showroom.web.query_params import DashboardQuery, parse_query, previous_period
from tests.pages.factories import NOW


def test_parse_query_without_parameters_returns_the_last_hour() -> None:
    query = parse_query({}, "shop")
    filters = query.to_filters(NOW)
    assert (query.dashboard, query.span, query.active_filters) == ("shop", "hour", {})
    assert filters.until == datetime(2026, 11, 23, 12, 31, tzinfo=UTC)
    assert filters.until - filters.since == timedelta(hours=1)


def test_to_filters_is_equal_within_a_minute() -> None:
    first, second = (
        parse_query({"span": "week", "device": "mobile"}),
        parse_query({"device": "mobile", "span": "week", "since": ""}),
    )
    assert first == second
    assert first.to_filters(NOW) == second.to_filters(NOW + timedelta(seconds=30))


def test_parse_query_custom_range_is_utc_and_needs_no_span() -> None:
    query = parse_query({"since": "2026-11-01T08:00", "until": "2026-11-02T10:00+02:00"})
    assert query.span == "custom"
    assert query.to_filters(NOW).since == datetime(2026, 11, 1, 8, tzinfo=UTC)
    assert query.to_filters(NOW).until == datetime(2026, 11, 2, 8, tzinfo=UTC)
    assert previous_period(query.to_filters(NOW)).since == datetime(2026, 10, 31, 8, tzinfo=UTC)


def test_parse_query_span_ignores_since() -> None:
    assert parse_query({"span": "day", "since": "2026-11-01T08:00"}) == DashboardQuery(span="day")


def test_url_parses_back_to_the_query() -> None:
    query = parse_query(
        {"dashboard": "shop", "category": 'a "b" & <c> 🪑', "since": "2026-11-01T08:00", "until": "2026-11-02"}
    )
    url = query.url(dashboard="products")
    assert "products" in url
    assert not set('"<> ') & set(url)
    assert parse_query(dict(parse_qsl(query.url().removeprefix("live?")))) == query


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"span": "year"}, "no span 'year'"),
        ({"span": "custom", "until": "2026-11-01"}, "since is missing"),
        ({"since": "yesterday", "until": "2026-11-01"}, "since is not a time"),
        ({"since": "0001-01-01", "until": "2026-11-01"}, "since is not a time"),
        ({"since": "9999-12-31T23:00-09:00", "until": "2026-11-01"}, "since is not a time"),
        ({"since": "2026-11-02", "until": "2026-11-01"}, "are not a valid range"),
        ({"since": "2020-01-01", "until": "2026-11-01"}, "are not a valid range"),
        ({"category": "x" * 301}, "category is too long"),
    ],
)
def test_parse_query_invalid_parameters_raise_terminal_error(given: dict[str, str], message: str) -> None:
    with pytest.raises(TerminalError, match=message):
        parse_query(given)
