"""From a session to its documents, field by field."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flink.documents import documents_of
from flink.sentiment import compound_score, label_of
from include.contracts.index_documents import INDICES, ProductDetails, ProductSentiment, SessionSummary
from include.contracts.session import Purchase
from include.supervise.admitted_session import decode
from include.supervise.reconcile import BY_SESSION
from tests.valid_sessions import STARTED, encoded, valid_session, viewed


def test_a_session_gives_a_summary_a_row_for_each_view_and_one_for_each_review() -> None:
    views = [viewed(), viewed(product_id="p02", review=None), viewed(product_id="p03", review="")]
    addressed = [
        (item.alias, item.id) for item in documents_of(valid_session(user_id="u", session_id="s-1", views=views))
    ]
    assert addressed == [
        ("session_summary", "u:s-1"),
        ("product_details", "u:s-1:0"),
        ("product_sentiment", "u:s-1:0"),
        ("product_details", "u:s-1:1"),
        ("product_details", "u:s-1:2"),
    ]


def test_the_summary_holds_every_field_of_the_session() -> None:
    views = [viewed(), viewed(product_id="p05", category="office")]
    purchase = Purchase(made=True, amount=649.5, payment="paypal")
    summary = documents_of(valid_session(views=views, purchase=purchase))[0].document
    assert summary == SessionSummary(
        session_id="s-20261123-000001",
        user_id="5f2b" * 8,
        started_at=STARTED,
        ended_at=STARTED + timedelta(seconds=214),
        received_at=STARTED + timedelta(seconds=215),
        duration_s=214,
        gender="f",
        returning=False,
        network="203.0.113.0/24",
        device_type="mobile",
        device_os="iOS",
        device_browser="Safari",
        country="US",
        state="CA",
        city="San Jose",
        zip="95112",
        referrer="google",
        page_views=4,
        clicks=17,
        viewed_products=["p01", "p05"],
        categories=["living_room", "office"],
        last_action="add_to_cart",
        exit_page="/cart",
        purchase_made=True,
        purchase_amount=649.5,
        payment="paypal",
        hour_of_day=8,
        day_of_week=1,
        is_weekend=False,
        month=11,
        week_of_year=48,
        part_of_day="morning",
    )


def test_product_rows_hold_the_product_and_the_review() -> None:
    _, details, sentiment = (item.document for item in documents_of(valid_session()))
    assert details == ProductDetails(
        session_id="s-20261123-000001",
        user_id="5f2b" * 8,
        started_at=STARTED,
        received_at=STARTED + timedelta(seconds=215),
        position=0,
        product_id="p01",
        name="Sofa",
        category="living_room",
        price=5000.0,
        seconds=41,
        device_type="mobile",
        country="US",
        referrer="google",
        last_action="add_to_cart",
        purchase_made=False,
    )
    assert sentiment == ProductSentiment(
        session_id="s-20261123-000001",
        user_id="5f2b" * 8,
        started_at=STARTED,
        received_at=STARTED + timedelta(seconds=215),
        position=0,
        product_id="p01",
        name="Sofa",
        category="living_room",
        review="Lovely, well built.",
        label="positive",
        score=compound_score("Lovely, well built."),
    )


def test_a_product_without_a_name_is_shown_by_its_id() -> None:
    _, details, sentiment = (item.document for item in documents_of(valid_session(views=[viewed(name=None)])))
    assert isinstance(details, ProductDetails)
    assert isinstance(sentiment, ProductSentiment)
    assert (details.name, sentiment.name) == (viewed().product_id, viewed().product_id)


@dataclass(frozen=True)
class Clock:
    started: datetime
    hour: int
    day: int
    weekend: bool
    week: int
    part: str


@pytest.mark.parametrize(
    "clock",
    [
        Clock(datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC), 23, 7, True, 47, "evening"),
        Clock(datetime(2026, 11, 23, 5, 59, tzinfo=UTC), 5, 1, False, 48, "night"),
        Clock(datetime(2026, 11, 23, 6, 0, tzinfo=UTC), 6, 1, False, 48, "morning"),
        Clock(datetime(2026, 11, 28, 12, 0, tzinfo=UTC), 12, 6, True, 48, "afternoon"),
        # ISO weeks: the first days of January may lie in the last week of the year before.
        Clock(datetime(2027, 1, 1, 0, 0, tzinfo=UTC), 0, 5, False, 53, "night"),
        # Whatever offset a session came with, time parts are of UTC.
        Clock(datetime(2026, 11, 23, 1, 0, tzinfo=timezone(timedelta(hours=2))), 23, 7, True, 47, "evening"),
    ],
)
def test_time_parts_are_of_utc(clock: Clock) -> None:
    summary = documents_of(valid_session(started_at=clock.started))[0].document
    assert isinstance(summary, SessionSummary)
    parts = (summary.hour_of_day, summary.day_of_week, summary.is_weekend, summary.week_of_year, summary.part_of_day)
    assert parts == (clock.hour, clock.day, clock.weekend, clock.week, clock.part)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Absolutely wonderful, I love it!", "positive"),
        ("Terrible quality, it broke at once.", "negative"),
        ("It is a chair.", "neutral"),
    ],
)
def test_sentiment_reads_plain_reviews(text: str, label: str) -> None:
    assert label_of(compound_score(text)) == label


@pytest.mark.parametrize(("score", "label"), [(0.05, "positive"), (0.049, "neutral"), (-0.05, "negative")])
def test_sentiment_borders_are_the_customary_ones(score: float, label: str) -> None:
    assert label_of(score) == label


def test_long_and_remembered_texts_score_alike() -> None:
    text = "Good. " * 60
    assert compound_score(text) == compound_score(text + " ") != 0


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2999, 1, 1), timezones=st.just(UTC)))
def test_every_document_is_what_its_index_expects(started: datetime) -> None:
    items = documents_of(valid_session(started_at=started))
    for item in items:
        kind = INDICES[item.alias]
        assert msgspec.json.decode(msgspec.json.encode(item.document), type=kind) == item.document
    assert all(first.id <= second.id for first, second in pairwise(items))


def test_documents_are_as_many_as_reconciliation_expects() -> None:
    views = [viewed(), viewed(review=""), viewed(review=None), viewed(review="\n"), viewed(review="Fine.")]
    for number in range(len(views) + 1):
        session = valid_session(views=views[:number])
        read = decode(encoded(session))
        assert read is not None
        made = Counter(document.alias for document in documents_of(session))
        assert made == {index: count for index in BY_SESSION if (count := read.rows.of(index))}
