"""The Live page's questions on a real Elasticsearch, on a shop whose sums are known."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from elasticsearch import Elasticsearch

from include.contracts.documents import INDICES
from include.contracts.errors import TransientError
from include.local.stack import Stack
from include.serving.client import connect
from include.serving.figures import DAY, HOUR
from include.serving.overview import overview, window
from include.serving.templates import ensure_templates
from tests.browser.shop import ATTACK, fill

NOW = datetime(2052, 3, 15, 12, 30, 20, tzinfo=UTC)
SESSIONS = 240


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Elasticsearch]:
    with connect(stack.settings) as opened:
        ensure_templates(opened, stack.settings)
        fill(opened, NOW, SESSIONS, hours=2.0)
        yield opened
        opened.indices.delete(index=[f"{alias}-2052.03" for alias in INDICES], ignore_unavailable=True)


def test_an_hour_and_a_day_are_summed_apart(client: Elasticsearch) -> None:
    shown = overview(client, HOUR, NOW)

    # One session every 30 s, the newest 5 s ago: the hour's window opens at 11:31:00.
    started = [NOW - timedelta(seconds=5 + 30 * number) for number in range(SESSIONS)]
    inside = [number for number, at in enumerate(started) if at >= shown.window.since]
    assert shown.window == window(HOUR, NOW)
    assert shown.window.since == datetime(2052, 3, 15, 11, 31, tzinfo=UTC)
    assert shown.figures["hour"].sessions == len(inside) == 119
    assert shown.figures["hour"].purchases == sum(number % 8 == 0 for number in inside)
    assert shown.figures["hour"].conversion == pytest.approx(15 / 119)
    assert shown.before["hour"].sessions == 120
    assert shown.figures["day"].sessions == SESSIONS
    assert shown.before["day"].sessions == 0
    assert 0 < shown.users["hour"] <= shown.figures["hour"].sessions < shown.users["day"]


def test_a_series_has_every_whole_step_and_nothing_of_the_running_one(client: Elasticsearch) -> None:
    hour, day = overview(client, HOUR, NOW).series, overview(client, DAY, NOW).series

    assert [hour[0].at, hour[-1].at] == [datetime(2052, 3, 15, 11, minute, tzinfo=UTC) for minute in (31,)] + [
        datetime(2052, 3, 15, 12, 29, tzinfo=UTC)
    ]
    assert {point.sessions for point in hour} == {2}
    assert len(day) == 96
    assert day[-1].at == datetime(2052, 3, 15, 12, 15, tzinfo=UTC)
    assert [point.sessions for point in day[-3:]] == [30, 30, 30]
    assert day[0] == (datetime(2052, 3, 14, 12, 30, tzinfo=UTC), 0, 0, 0.0)


def test_panels_agree_with_the_sums(client: Elasticsearch) -> None:
    shown = overview(client, DAY, NOW)

    assert sum(share.documents for share in shown.referrers) == SESSIONS
    assert sum(share.documents for share in shown.devices) == SESSIONS
    assert sum(share.documents for share in shown.moods) == SESSIONS / 5
    assert sum(product.views for product in shown.products) == 2 * SESSIONS
    assert {category.name for category in shown.categories} >= {"office", "bedroom"}
    assert "all" not in {category.name for category in shown.categories}
    assert ATTACK in {product.name for product in shown.products}
    assert shown.newest is not None
    assert shown.newest.received_at == NOW - timedelta(seconds=3)
    assert not shown.empty


def test_before_the_first_session_there_is_nothing(client: Elasticsearch) -> None:
    shown = overview(client, HOUR, NOW - timedelta(days=19_000))

    assert shown.empty
    assert shown.figures["day"].sessions == 0
    assert len(shown.series) == 59


def test_an_elasticsearch_that_is_away_is_said_at_once(stack: Stack) -> None:
    with (
        connect(stack.settings.replace(elasticsearch_url="http://127.0.0.1:9")) as nobody,
        pytest.raises(TransientError, match="does not answer"),
    ):
        overview(nobody, HOUR, NOW)
