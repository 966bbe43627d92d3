"""Masks of personal data in visitors' text, on ordinary, foreign and hostile input."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contracts.session import MAX_LABEL_LENGTH, MAX_TEXT_LENGTH, ValidSession
from include.contracts.settings import Settings
from include.gate.masking import MIN_DIGITS, mask_page, mask_text, may_need_masks
from include.gate.valid_session import build_valid_session
from include.gate.validation import Candidate, Limits, check
from tests.sessions import ARRIVED_MS, encoded, view

HOSTILE = (
    "@",
    "a@",
    "@a",
    "a@b ",
    "1",
    "1 ",
    "12 34  5",
    "+",
    "(1",
    "a" * 63 + "@",
    "1.",
    "\u0661-",
    "\uff20a",
    "[",
    ".@",
)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Write to ada@example.com!", "Write to [email]!"),
        ("(ada.l+shop@mail.example.co.uk)", "([email])"),
        ("ada@example.com,bob@example.org", "[email],[email]"),
        ("a@b@c.de", "[email]"),
        ("mail me@[192.0.2.1] now", "mail [email] now"),
        ("jose\u0301@b\u00fccher.example", "[email]"),
        ("\u7528\u6237@\u4f8b\u5b50.\u516c\u53f8", "[email]"),
        ("ada\uff20example.com", "[email]"),
        ("find me as @ada_l", "find me as [email]"),
        ("card 4111 1111 1111 1111 ok", "card [number] ok"),
        ("4111-1111-1111-1111", "[number]"),
        ("+49 (0) 151 - 234 56 78.", "[number]."),
        ("call 5551234", "call [number]"),
        ("\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668", "[number]"),
        ("\uff14\uff11\uff11\uff11\u20111111\u20111111", "[number]"),
        ("0151\u00a02345678", "[number]"),
        ("ada12345678@example.com", "[email]"),
        ("4111\u200b1111\u200b1111\u200b1111", "[number]"),
        ("41\u2060\u200b\ufeff\u200d\u200c11 11\u00ad11", "[number]"),
        ("0151_234_5678", "[number]"),
        ("0151\u00b7234\u30fb5678", "[number]"),
        ("0151\u2003234\u30005678", "[number]"),
        ("0151\u2800234\u31645678", "[number]"),
        ("\u2460\u2461\u2462\u2463\u2464\u2465\u2466\u2467", "[number]"),
        ("4\ufe0f\u20e31\ufe0f\u20e31\ufe0f\u20e31\ufe0f\u20e3 111 111", "[number]"),
        ("ada\u200b@\u200bexample.com", "[email]"),
        ("ada\u2003@\u2003example.com", "[email]"),
        ("write ada @ example.com, please", "write [email], please"),
    ],
)
def test_mask_text_personal_data_is_replaced(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Lovely, well built.",
        "2 chairs @ 5 each",
        "2 chairs @ 5.50 each",
        "\ufb01ne m\u00b2, \u00bd off",
        "123456",
        "12 and 34 and 56 and 78",
        "99.50, 10 out of 10",
        "\u2605" * 50,
    ],
)
def test_mask_text_ordinary_text_is_unchanged(text: str) -> None:
    assert mask_text(text) is text


@given(st.text(st.sampled_from("a1@.\uff20 -+()\u0661/\n,"), max_size=60))
def test_mask_text_any_text_keeps_no_address_and_no_long_number(text: str) -> None:
    masked = mask_text(text)

    assert masked == text or may_need_masks(text)
    assert not re.search(rf"\d{{{MIN_DIGITS},}}", masked)
    assert not re.search(r"[a1][@\uff20][a1]", masked)


@given(st.sampled_from(HOSTILE), st.sampled_from(HOSTILE))
def test_mask_text_longest_hostile_text_fits_the_contract(one: str, other: str) -> None:
    for text in ((one + other) * MAX_TEXT_LENGTH, one * (MAX_TEXT_LENGTH - 1) + other):
        assert len(mask_text(text[:MAX_TEXT_LENGTH])) <= MAX_TEXT_LENGTH


@pytest.mark.parametrize(
    ("page", "masked"),
    [
        ("/cart", "/cart"),
        ("/order?email=ada@example.com&card=4111", "/order"),
        ("/order#token=1", "/order"),
        ("/a#b?c", "/a"),
        ("/account/ada@example.com/orders", "/account/[email]/orders"),
        ("/account/ada%40example.com", "/account/[email]"),
        ("/account/ada\uff20example.com/orders", "/account/[email]/orders"),
        ("?email=ada", None),
        (None, None),
    ],
)
def test_mask_page_removes_query_fragment_and_addresses(page: str | None, masked: str | None) -> None:
    assert mask_page(page) == masked


@given(st.text(st.sampled_from("/@a?#%40"), min_size=1, max_size=MAX_LABEL_LENGTH))
def test_mask_page_any_page_fits_the_contract(page: str) -> None:
    masked = mask_page(page)

    assert masked is None or 0 < len(masked) <= MAX_LABEL_LENGTH
    assert not {"?", "#", "@"} & set(masked or "")


def test_build_valid_session_masks_personal_text() -> None:
    views = [
        view(),
        view(review="mine: ada@example.com"),
        view(review=None),
        view(review="@a" * (MAX_TEXT_LENGTH // 2)),
    ]
    result = check(
        encoded(views=views, exit_page="/pay?card=4111111111111111"), b"u-4711", ARRIVED_MS, Limits.of(Settings().gate)
    )
    assert isinstance(result, Candidate)

    admitted = msgspec.json.decode(
        build_valid_session(result, "p", returning=False, received_ms=ARRIVED_MS), type=ValidSession
    )

    reviews = [seen.review for seen in admitted.views]
    assert reviews[:3] == ["Lovely, well built.", "mine: [email]", None]
    assert admitted.exit_page == "/pay"
    assert [seen.product_id for seen in admitted.views] == ["p01"] * len(views)
