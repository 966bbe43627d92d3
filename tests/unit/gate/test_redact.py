"""Redaction of rejected records: no personal data, no control characters, bounded length."""

import json

import pytest

from include.gate.redact import MAX_DEPTH, MAX_TEXT, redact_identifier, redact_record, redact_text
from tests.sessions import encoded, view

PERSONAL = (
    "Ada Example",
    "ada@example.com",
    "203.0.113.7",
    "u-4711",
    "San Jose",
    "95112",
    "call me",
    "+49 170 1234567",
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Invalid enum value 'ada@example.com' - at `$.referrer`", "Invalid enum value '<email>' - at `$.referrer`"),
        ("from 203.0.113.7 at 12:30", "from <ip> at 12:30"),
        ("from 2001:db8:0:1:2:3:4:5", "from <ip>"),
        ("card 4111 1111 1111 1111", "card <digits>"),
        ("in the minute 2026-11-23T08:15Z", "in the minute 2026-11-23T08:15Z"),
        ("900000 bytes, 524288 allowed", "900000 bytes, 524288 allowed"),
        ("card 4111\u200b1111\u200b1111\u200b1111", "card <digits>"),
        ("card 4111_1111\u00b71111\u20031111", "card <digits>"),
        ("from ada\uff20example.com", "from <email>"),
        ("red \x1b[31m\u202e\nline", "red \ufffd[31m\ufffd\ufffdline"),
    ],
)
def test_redact_text_masks_personal_data_and_control_characters(text: str, expected: str) -> None:
    assert redact_text(text) == expected


def test_redact_text_truncates_long_text() -> None:
    assert len(redact_text("x " * 10_000)) == MAX_TEXT


def test_redact_identifier_keeps_the_digits_of_a_session_id() -> None:
    assert redact_identifier("s-20261123-000000000001") == "s-20261123-000000000001"
    assert redact_identifier("ada@example.com") == "<email>"


def test_redact_record_shows_structure_and_no_personal_data() -> None:
    value = encoded(nickname="Ada Example", views=[view(review="call me on +49 170 1234567")])
    shown = redact_record(value)
    assert not [text for text in PERSONAL if text in shown]
    tree = json.loads(shown)
    assert (tree["session_id"], tree["ip"], tree["duration_s"]) == ("s-20261123-000001", "203.0.113.0/24", 214)
    assert tree["nickname"] == "(11 characters)"


@pytest.mark.parametrize(
    ("changes", "hidden"),
    [
        ({"views": [view(product_id="Ada Example, 3 Long Street")]}, "Long Street"),
        ({"views": [view(category="for Ada Example")]}, "Ada"),
        ({"referrer": "Ada Example"}, "Ada"),
        ({"phone": 491701234567}, "491701234567"),
        ({"phone": 5551234}, "5551234"),
        ({"age": 41_414}, "41414"),
        ({"clicks": 4111111111111111}, "4111"),
        ({"page_views": [4111111111111111]}, "4111"),
        ({"duration_s": 0.4111111111111111}, "4111"),
        ({"customer": {"type": "Ada", "v": 41_414}}, "Ada"),
        ({"customer": {"type": "Ada", "v": 41_414}}, "41414"),
        ({"referrer": {"type": "Ada"}}, "Ada"),
        ({"Ada Example": True}, "Ada"),
    ],
)
def test_redact_record_with_personal_data_in_any_field_hides_it(changes: dict[str, object], hidden: str) -> None:
    assert hidden not in redact_record(encoded(**changes))


def test_redact_record_of_ordinary_record_shows_structure_and_numbers() -> None:
    tree = json.loads(redact_record(encoded()))
    (seen,) = tree["views"]
    assert (seen["product_id"], seen["category"], seen["price"], seen["seconds"]) == ("p01", "living_room", 5000.0, 41)
    assert (tree["v"], tree["clicks"], tree["started_at"], tree["referrer"]) == (
        *(1, 17, "2026-11-23T08:15:30.250Z", "google"),
    )
    assert tree["purchase"] == {"made": False, "amount": 0.0, "payment": None}
    assert tree["device"] == {"type": "mobile", "os": "iOS", "browser": "Safari"}


@pytest.mark.parametrize("value", [b"", b"ada@example.com", b'["Ada Example"]', b"[" * 9_000, b'{"name": "Ada'])
def test_redact_record_of_other_bytes_shows_length_and_digest(value: bytes) -> None:
    shown = redact_record(value)
    assert shown.startswith(f"{len(value):,} bytes, not a JSON object, sha256 ")
    assert "Ada" not in shown


def test_redact_record_of_a_huge_object_is_bounded() -> None:
    nested: object = {f"key {n}": ["x"] * 5_000 for n in range(5_000)}
    assert len(redact_record(json.dumps(nested).encode())) < 20_000


def test_redact_record_of_deep_nesting_stops_at_a_depth() -> None:
    value = b'{"a":' * 50 + b"1" + b"}" * 50
    assert redact_record(value).count("{") == MAX_DEPTH
