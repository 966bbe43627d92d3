"""Encoding of sessions: columns, missing values and denied fields."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.batch.features import encode_session
from include.batch.features.columns import COLUMNS, DENIED_FIELDS, PROJECTION, SCALED, SESSION, UNUSED_FIELDS, scale
from include.batch.features.timezones import offset_hours
from include.contracts.errors import TerminalError
from tests.batch.documents import Document, document, view


def columns(document: Document, *, reviews: bool = True) -> dict[str, float]:
    x = encode_session.encode([document], reviews=reviews).x[0]
    return {column.name: float(x[index]) for index, column in enumerate(SESSION)}


def ones(document: dict[str, float], prefix: str) -> list[str]:
    return [name for name, value in document.items() if name.startswith(prefix) and value == 1]


def test_visit_of_two_products() -> None:
    views = [
        view("p01", price=5000.0, seconds=60, review="I love it, wonderful."),
        view("p04", price=500.0, seconds=None, review="Terrible, a waste of money."),
        view("p01", price=5000.0, seconds=30, review="It came on a Tuesday."),
    ]
    result = columns(
        document(duration_s=200, page_views=4, clicks=10, views=views, categories=["living_room", "bedroom"])
    )
    expected = {
        "duration_s": 200,
        "page_views": 4,
        "clicks": 10,
        "clicks_per_page": 2.5,
        "seconds_per_page": 50,
        "clicks_per_minute": 3,
        "views": 3,
        "products": 2,
        "categories": 2,
        "products_beyond_categories": 0,
        "dearest": 5000,
        "cheapest": 500,
        "mean_price": 3500,
        "seconds_on_products": 90,
        "share_on_products": 0.45,
        "longest_look": 60,
        "returning": 0,
        "reviews": 3,
        "reviews_positive": 1,
        "reviews_negative": 1,
    }
    assert {name: result[name] for name in expected} == pytest.approx(expected)
    assert -0.2 < result["review_score"] < 0.2


@pytest.mark.parametrize(
    ("moment", "country", "state", "hour", "evening", "weekday", "weekend"),
    [
        (datetime(2026, 11, 22, 3, 59, 59, tzinfo=UTC), "US", "CA", 19, 1, 6, 1),
        (datetime(2026, 11, 23, 23, 30, tzinfo=UTC), "DE", "Berlin", 0, 0, 0, 0),
        (datetime(2026, 11, 20, 12, 15, tzinfo=UTC), "IN", "Karnataka", 17, 0, 4, 0),
        (datetime(2026, 11, 21, 18, 0, tzinfo=UTC), "GB", None, 18, 1, 5, 1),
        (datetime(2026, 11, 21, 23, 0, tzinfo=UTC), "GB", "England", 23, 0, 5, 1),
    ],
)
def test_hour_is_local_and_weekday_is_utc(
    moment: datetime, country: str, state: str | None, hour: int, evening: int, weekday: int, weekend: int
) -> None:
    position = {"country": country, "state": state, "city": None, "zip": None}
    result = columns(document(started_at=moment, location=position))
    assert (result["local_hour"], result["evening"]) == (hour, evening)
    assert (result["weekday"], result["weekend"]) == (weekday, weekend)


def test_offset_of_an_unknown_location_is_nan() -> None:
    assert np.isnan(offset_hours(None, None))
    assert np.isnan(offset_hours("US", None))
    assert np.isnan(offset_hours("US", "Bavaria"))
    assert offset_hours("AU", "WA") == 8
    assert offset_hours("US", "WA") == -8


def test_missing_values_are_nan_and_scale_to_indicators() -> None:
    result = columns(
        document(
            page_views=None,
            clicks=None,
            views=[view(price=None, seconds=None)],
            categories=[],
            location={"country": None, "state": None},
            device={"type": "not_collected"},
            referrer="not_collected",
        )
    )
    unknown = {name for name, value in result.items() if np.isnan(value)}
    assert unknown == {
        *("page_views", "clicks", "clicks_per_page", "seconds_per_page", "clicks_per_minute"),
        *("dearest", "cheapest", "mean_price", "seconds_on_products", "share_on_products", "longest_look"),
        *("review_score", "local_hour", "evening"),
    }
    assert ones(result, "device_") == ["device_not_collected"]
    assert ones(result, "state_") == ones(result, "category_") == []


def test_session_without_views() -> None:
    result = columns(document(views=[], categories=[]))
    assert (result["views"], result["products"], result["reviews"]) == (0, 0, 0)
    assert np.isnan(result["dearest"])
    assert np.isnan(result["mean_price"])


def test_session_without_pages_and_seconds_divides_safely() -> None:
    result = columns(document(page_views=0, clicks=6, duration_s=0, views=[view(seconds=0)]))
    assert result["clicks_per_page"] == 6
    assert result["clicks_per_minute"] == 360
    assert result["share_on_products"] == 0


def test_negative_prices_are_ignored() -> None:
    result = columns(document(views=[view(price=-20.0), view("p04", price=80.0)]))
    assert (result["dearest"], result["cheapest"], result["mean_price"]) == (80, 80, 80)


def test_unseen_categories_are_encoded() -> None:
    valid = columns(document())
    result = columns(
        document(
            device={"type": "spectacles"},
            referrer="oracle",
            views=[view("an unseen product")],
            categories=["an unseen category"],
            location={"country": "XX", "state": "YY"},
        )
    )
    assert list(result) == list(valid)
    assert ones(result, "device_") == ones(result, "referrer_") == []
    assert len(ones(result, "product_")) == len(ones(result, "category_")) == len(ones(result, "state_")) == 1


def test_bucket_is_stable_across_processes() -> None:
    assert [encode_session.bucket(text, 16) for text in ("p01", "p04", "", "Büro")] == [12, 15, 4, 5]


def test_encode_without_reviews_ignores_them() -> None:
    praised, plain = (document(views=[view(review=text)]) for text in ("I love it, wonderful.", None))
    with_reviews, without = columns(praised, reviews=False), columns(plain, reviews=False)
    np.testing.assert_equal(with_reviews, without)
    assert np.isnan(with_reviews["reviews"])
    assert columns(praised) != columns(plain)


def put(document: Document, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        document = document[parent]
    document[last] = value


moments = st.datetimes(timezones=st.just(UTC))
CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "purchase.made": st.booleans(),
    "purchase.amount": st.floats(-1e9, 1e9),
    "purchase.payment": st.sampled_from(["credit_card", "paypal", "other", None]),
    "last_action": st.sampled_from(["view_item", "search", "add_to_cart", "checkout"]),
    "exit_page": st.none() | st.text(max_size=20),
    "ended_at": moments,
    "received_at": moments,
}


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries({}, optional=CHANGES))
def test_denied_fields_change_no_column(changes: dict[str, Any]) -> None:
    assert set(CHANGES) == set(DENIED_FIELDS)
    changed = document()
    for path, value in changes.items():
        put(changed, path, value)
    np.testing.assert_array_equal(
        encode_session.encode([changed], reviews=True).x,
        encode_session.encode([document()], reviews=True).x,
        strict=True,
    )


def test_every_contract_field_is_read_denied_or_unused() -> None:
    evaluated = [*(set(PROJECTION) - {"purchase.made"}), *DENIED_FIELDS, *UNUSED_FIELDS]
    assert len(evaluated) == len(set(evaluated))
    assert set(evaluated) == set(leaves(document(views=[view()])))


def leaves(document: Document, path: str = "") -> list[str]:
    names: list[str] = []
    for name, value in document.items():
        validation = value[0] if name == "views" else value
        names += leaves(validation, f"{path}{name}.") if isinstance(validation, dict) else [f"{path}{name}"]
    return names


def test_projection_reads_no_denied_field_except_the_label() -> None:
    assert set(PROJECTION) & set(DENIED_FIELDS) == {"purchase.made"}
    requests = {"_id": "s", **{name: document()[name] for name in ("user_id", "started_at", "duration_s", "returning")}}
    requests |= {name: document()[name] for name in ("referrer", "page_views", "clicks", "categories")}
    requests |= {
        "device": {"type": "mobile"},
        "location": {"country": "US", "state": "CA"},
        "purchase": {"made": False},
    }
    requests["views"] = [{"product_id": "p01", "price": 5000.0, "seconds": 41, "review": None}]
    np.testing.assert_array_equal(
        encode_session.encode([requests], reviews=True).x, encode_session.encode([document()], reviews=True).x
    )


def test_encode_of_an_invalid_document_names_it() -> None:
    with pytest.raises(TerminalError, match="s-broken"):
        encode_session.encode([document(), document("s-broken", duration_s="long")], reviews=True)


def test_scale_is_finite_and_bounded() -> None:
    x = np.full((2, len(COLUMNS)), np.nan, dtype=np.float32)
    x[1] = 1e30
    z = scale(x)
    assert z.shape == (2, len(SCALED))
    assert np.isfinite(z).all()
    assert np.abs(z).max() < 12
    indicators = [index for index, name in enumerate(SCALED) if name.endswith("_missing")]
    assert len(indicators) == sum(column.has_missing for column in COLUMNS)
    assert (z[0, indicators] == 1).all()
    assert (z[1, indicators] == 0).all()
    assert (np.delete(z[0], indicators) == 0).all()


def test_scale_of_each_kind_of_column() -> None:
    x = np.zeros((1, len(COLUMNS)), dtype=np.float32)
    for name, value in (("duration_s", 180.0), ("page_views", 30.0), ("local_hour", 6.0), ("review_score", -0.5)):
        x[0, [column.name for column in COLUMNS].index(name)] = value
    z = dict(zip(SCALED, scale(x)[0].tolist(), strict=True))
    assert z["duration_s"] == pytest.approx(0.0, abs=1e-6)
    assert z["page_views"] == pytest.approx((20 - 4) / 4)
    assert (z["local_hour_sin"], z["local_hour_cos"]) == pytest.approx((1.0, 0.0), abs=1e-6)
    assert z["review_score"] == pytest.approx(-0.5)


def test_names_are_unique() -> None:
    assert len(set(SCALED)) == len(SCALED)
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)
    assert all(column.description for column in COLUMNS)
