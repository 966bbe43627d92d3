"""The documents of a session, field by field."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flink.documents import build_documents
from flink.sentiment import compound_score, sentiment_label
from include.contracts.index_documents import INDICES, ProductDetails, ProductSentiment, SessionSummary
from include.contracts.session import Purchase
from include.supervise.admitted_session import decode
from include.supervise.reconcile import BY_SESSION
from tests.valid_sessions import STARTED, encoded, valid_session, viewed


def test_build_documents_returns_a_summary_details_per_view_and_sentiment_per_review() -> None:
    views = [viewed(), viewed(product_id="p02", review=None), viewed(product_id="p03", review="")]
    documents = [
        (item.alias, item.id) for item in build_documents(valid_session(user_id="u", session_id="s-1", views=views))
    ]
    assert documents == [
        ("session_summary", "u:s-1"),
        ("product_details", "u:s-1:0"),
        ("product_sentiment", "u:s-1:0"),
        ("product_details", "u:s-1:1"),
        ("product_details", "u:s-1:2"),
    ]


def test_build_documents_summary_has_every_field_of_the_session() -> None:
    views = [viewed(), viewed(product_id="p05", category="office")]
    purchase = Purchase(made=True, amount=649.5, payment="paypal")
    summary = build_documents(valid_session(views=views, purchase=purchase))[0].document
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


def test_build_documents_details_and_sentiment_have_product_and_review() -> None:
    _, details, sentiment = (item.document for item in build_documents(valid_session()))
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


def test_build_documents_product_without_a_name_uses_its_id() -> None:
    _, details, sentiment = (item.document for item in build_documents(valid_session(views=[viewed(name=None)])))
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
        # ISO weeks: the first days of January can belong to the last week of the previous year.
        Clock(datetime(2027, 1, 1, 0, 0, tzinfo=UTC), 0, 5, False, 53, "night"),
        # Time parts are in UTC, independent of the session's UTC offset.
        Clock(datetime(2026, 11, 23, 1, 0, tzinfo=timezone(timedelta(hours=2))), 23, 7, True, 47, "evening"),
    ],
)
def test_build_documents_time_parts_are_in_utc(clock: Clock) -> None:
    summary = build_documents(valid_session(started_at=clock.started))[0].document
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
def test_sentiment_label_of_plain_reviews(text: str, label: str) -> None:
    assert sentiment_label(compound_score(text)) == label


@pytest.mark.parametrize(("score", "label"), [(0.05, "positive"), (0.049, "neutral"), (-0.05, "negative")])
def test_sentiment_label_at_the_thresholds(score: float, label: str) -> None:
    assert sentiment_label(score) == label


def test_compound_score_of_cached_and_uncached_texts_is_equal() -> None:
    text = "Good. " * 60
    assert compound_score(text) == compound_score(text + " ") != 0


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2999, 1, 1), timezones=st.just(UTC)))
def test_build_documents_match_the_schema_of_their_index(started: datetime) -> None:
    items = build_documents(valid_session(started_at=started))
    for item in items:
        kind = INDICES[item.alias]
        assert msgspec.json.decode(msgspec.json.encode(item.document), type=kind) == item.document
    assert all(first.id <= second.id for first, second in pairwise(items))


def test_build_documents_counts_equal_those_of_reconciliation() -> None:
    views = [viewed(), viewed(review=""), viewed(review=None), viewed(review="\n"), viewed(review="Fine.")]
    for number in range(len(views) + 1):
        session = valid_session(views=views[:number])
        read = decode(encoded(session))
        assert read is not None
        result = Counter(document.alias for document in build_documents(session))
        assert result == {index: count for index in BY_SESSION if (count := read.rows.of(index))}
