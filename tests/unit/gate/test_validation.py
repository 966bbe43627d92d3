"""Every kind of invalid input has its own reject reason; no input raises an error."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.contracts.reject_reasons import Reason
from include.contracts.session import Session
from include.contracts.settings import Settings
from include.gate.validation import FIXED_KEYS, VIEW_KEYS, Candidate, Limits, Rejection, check
from tests.bad_records import BAD
from tests.sessions import ARRIVED_MS, encoded, raw_session, view

LIMITS = Limits.of(Settings().gate)
KEY = b"u-4711"


def judged(value: bytes | None, key: bytes | None = KEY) -> Candidate | Rejection:
    return check(value, key, ARRIVED_MS, LIMITS)


def test_validate_complete_session_is_a_candidate() -> None:
    result = judged(encoded())
    assert isinstance(result, Candidate)
    assert result.session == msgspec.convert(raw_session(), Session, strict=False)
    assert result.network == "203.0.113.0/24"
    assert not result.too_fast


@pytest.mark.parametrize(("value", "reason"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input_gets_its_reason(value: bytes | None, reason: Reason) -> None:
    result = judged(value)
    assert isinstance(result, Rejection)
    assert (result.reason, bool(result.detail)) == (reason, True)
    assert len(result.detail) <= 300


@pytest.mark.parametrize("key", [None, b"", b"u-4712", b"u-4711 ", b"\xff"])
def test_validate_other_key_is_rejected(key: bytes | None) -> None:
    result = judged(encoded(), key)
    assert isinstance(result, Rejection)
    assert result.reason is Reason.WRONG_KEY


@pytest.mark.parametrize(
    "changes",
    [
        {"views": [view(review="two\nlines\tand a tab")]},
        {"exit_page": 'a ":" in it'},
        {"views": [view(review='":')], "exit_page": '" '},
        {"views": []},
        {"ip": None, "clicks": None, "page_views": None, "exit_page": None},
        {"started_at": "2026-11-23T10:15:30+02:00"},
        {"ip": "2001:db8:1:2::7"},
        {"purchase": {"made": True, "amount": -11062.06, "payment": None}},
    ],
)
def test_validate_unusual_valid_record_passes(changes: dict[str, Any]) -> None:
    assert isinstance(judged(encoded(**changes)), Candidate)


def test_pretty_printed_records_pass() -> None:
    assert isinstance(judged(json.dumps(raw_session(), indent=2).encode()), Candidate)


def test_pace_is_judged_by_clicks_a_second() -> None:
    fast = judged(encoded(clicks=101, duration_s=10))
    brisk = judged(encoded(clicks=100, duration_s=10))
    assert isinstance(fast, Candidate)
    assert isinstance(brisk, Candidate)
    assert (fast.too_fast, brisk.too_fast) == (True, False)


def test_number_of_keys_matches_the_contract() -> None:
    def keys(node: Any) -> int:
        if isinstance(node, dict):
            return len(node) + sum(keys(part) for part in node.values())
        return sum(keys(part) for part in node) if isinstance(node, list) else 0

    complete = raw_session(views=[view(), view()])
    assert keys(complete) == FIXED_KEYS + 2 * VIEW_KEYS


def test_details_never_quote_the_visitor() -> None:
    for _, value, _ in BAD:
        result = judged(value)
        assert isinstance(result, Rejection)
        assert "ada@example.com" not in result.detail
        assert "203.0.113.7" not in result.detail


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"v": "ada@example.com"}, "v is not 1 - at `$.v`"),
        ({"v": 4111111111111111}, "v is not 1 - at `$.v`"),
        ({"referrer": "ada@example.com"}, "Invalid enum value - at `$.referrer`"),
        ({"ada@example.com": 1}, "Object contains unknown field"),
        ({"x` - at `$.ada_lovelace": 1}, "Object contains unknown field"),
        ({"views": [view(), view(ada=1)]}, "Object contains unknown field - at `$.views[1]`"),
        ({"clicks": "ada"}, "Expected `int | null`, got `str` - at `$.clicks`"),
    ],
)
def test_check_invalid_record_names_the_path_and_not_the_value(changes: dict[str, Any], detail: str) -> None:
    result = judged(encoded(**changes))
    assert isinstance(result, Rejection)
    assert result.detail == detail


@given(st.text(st.sampled_from("ada$.`[0]- t"), min_size=1, max_size=30), st.booleans())
def test_check_any_unknown_key_is_never_quoted(key: str, nested: bool) -> None:
    user = raw_session()["user"]
    result = judged(encoded(user={**user, key: 1}) if nested else encoded(**{key: 1}))
    assert isinstance(result, Rejection)
    assert result.detail in ("Object contains unknown field", "Object contains unknown field - at `$.user`")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.one_of(st.none(), st.binary(max_size=10)))
def test_validate_any_bytes_returns_a_result(value: bytes, key: bytes | None) -> None:
    assert isinstance(judged(value, key), Rejection)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=10,
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(raw_session())), JSON)
def test_validate_any_field_value_returns_a_result(field: str, value: Any) -> None:
    result = judged(json.dumps(raw_session(**{field: value})).encode())
    if isinstance(result, Candidate):
        msgspec.json.encode(result.session)  # every valid record can be encoded again


@settings(max_examples=300, deadline=None)
@given(st.integers(min_value=0, max_value=len(encoded()) - 1), st.binary(max_size=3))
def test_validate_any_damage_returns_a_result(place: int, junk: bytes) -> None:
    value = encoded()
    result = judged(value[:place] + junk + value[place + 1 :])
    if isinstance(result, Candidate):
        msgspec.json.encode(result.session)
