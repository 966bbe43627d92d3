"""The session record: valid and invalid values, and parity of JSON Schema and decoder."""

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from include.contracts.session import MAX_VIEWS, Session, ValidSession
from tests.sessions import raw_session
from tools.generated_docs import schema

VALIDATORS = {
    record: Draft202012Validator(schema(record), format_checker=FormatChecker()) for record in (Session, ValidSession)
}
EXAMPLE = raw_session()

labels = st.text(min_size=1, max_size=200)
maybe = st.none() | labels
instants = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7)), timezone(timedelta(hours=5.5))]))
money = st.floats(-1e9, 1e9, allow_nan=False)
counts = st.none() | st.integers(0, 1_000_000)
views = st.fixed_dictionaries(
    {
        "product_id": st.text(min_size=1, max_size=64),
        "name": maybe,
        "category": maybe,
        "price": st.none() | money,
        "seconds": st.none() | st.integers(0, 604_800),
        "review": st.none() | st.text(max_size=300),
    }
)
SHARED: dict[str, st.SearchStrategy[Any]] = {
    "v": st.just(1),
    "session_id": st.text(min_size=1, max_size=64),
    "user_id": st.text(min_size=1, max_size=64),
    "started_at": instants,
    "duration_s": st.integers(0, 604_800),
    "device": st.fixed_dictionaries(
        {
            "type": st.sampled_from(["mobile", "desktop", "tablet", "unknown", "not_collected"]),
            "os": maybe,
            "browser": maybe,
        }
    ),
    "location": st.fixed_dictionaries(dict.fromkeys(("country", "state", "city", "zip"), maybe)),
    "referrer": st.sampled_from(["google", "facebook", "instagram", "partner", "direct", "unknown", "not_collected"]),
    "page_views": counts,
    "clicks": counts,
    "views": st.lists(views, max_size=4),
    "last_action": st.sampled_from(["view_item", "search", "add_to_cart", "checkout"]),
    "exit_page": maybe,
    "purchase": st.fixed_dictionaries(
        {"made": st.booleans(), "amount": money, "payment": st.sampled_from([None, "credit_card", "paypal", "other"])}
    ),
}
genders = st.sampled_from([None, "f", "m", "x"])
sessions = st.fixed_dictionaries(
    SHARED
    | {
        "user": st.fixed_dictionaries({"name": maybe, "email": maybe, "gender": genders}),
        "ip": st.none() | st.text(max_size=45),
    }
)
valid_sessions = st.fixed_dictionaries(
    SHARED
    | {
        "ended_at": instants,
        "received_at": instants,
        "gender": genders,
        "returning": st.booleans(),
        "network": st.none() | st.just("203.0.113.0/24"),
        "categories": st.lists(labels, max_size=4),
    }
)


def decode(record: dict[str, Any], kind: type[msgspec.Struct] = Session) -> msgspec.Struct:
    return msgspec.json.decode(msgspec.json.encode(record), type=kind)


def decodes(record: Any, kind: type[msgspec.Struct] = Session) -> bool:
    try:
        msgspec.json.decode(json.dumps(record).encode(), type=kind)
    except msgspec.MsgspecError:
        return False
    return True


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(result for key, part in inner for result in paths_of(part, (*path, key)))]


def changed(path: tuple[Any, ...], value: Any) -> Any:
    """Return the example with one value replaced."""
    if not path:
        return value
    copy = deepcopy(EXAMPLE)
    location: Any = copy
    for key in path[:-1]:
        location = location[key]
    location[path[-1]] = value
    return copy


@given(sessions)
def test_session_round_trips(record: dict[str, Any]) -> None:
    decoded = decode(record)
    assert msgspec.json.decode(msgspec.json.encode(decoded), type=Session) == decoded
    assert msgspec.to_builtins(decoded, builtin_types=(datetime,)) == record


@given(valid_sessions)
def test_valid_session_round_trips(record: dict[str, Any]) -> None:
    decoded = decode(record, ValidSession)
    assert msgspec.json.decode(msgspec.json.encode(decoded), type=ValidSession) == decoded
    assert msgspec.to_builtins(decoded, builtin_types=(datetime,)) == record


@given(sessions)
def test_schema_and_decoder_accept_the_same_records(record: dict[str, Any]) -> None:
    VALIDATORS[Session].validate(json.loads(msgspec.json.encode(record)))


@given(st.data())
def test_schema_and_decoder_agree_on_damaged_sessions(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(paths_of(EXAMPLE)))
    # Whole floats are integers in JSON Schema but not for the decoder; dates have their own tests.
    odd = st.none() | st.booleans() | st.integers(-(10**10), 10**10) | st.sampled_from(["", "x", "google", [], {}])
    record = changed(path, data.draw(odd))
    if path == ("started_at",) and isinstance(record["started_at"], str):
        assert not decodes(record)
        return
    assert decodes(record) == VALIDATORS[Session].is_valid(record)


def test_documented_example_is_a_session() -> None:
    assert decodes(EXAMPLE)
    VALIDATORS[Session].validate(EXAMPLE)


@pytest.mark.parametrize("path", [path for path in paths_of(EXAMPLE) if path and isinstance(path[-1], str)])
def test_session_fields_are_required(path: tuple[Any, ...]) -> None:
    record = deepcopy(EXAMPLE)
    location: Any = record
    for key in path[:-1]:
        location = location[key]
    del location[path[-1]]
    assert not decodes(record)
    assert not VALIDATORS[Session].is_valid(record)


@pytest.mark.parametrize("path", [(), ("user",), ("device",), ("location",), ("views", 0), ("purchase",)])
def test_session_objects_are_closed(path: tuple[Any, ...]) -> None:
    record = deepcopy(EXAMPLE)
    location: Any = record
    for key in path:
        location = location[key]
    location["surprise"] = 1
    assert not decodes(record)
    assert not VALIDATORS[Session].is_valid(record)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("v",), 2),
        (("session_id",), "x" * 65),
        (("session_id",), ""),
        (("user_id",), "x" * 10_000),
        (("started_at",), "2026-11-23T08:15:30"),
        (("started_at",), "yesterday"),
        (("duration_s",), -1),
        (("duration_s",), 604_801),
        (("clicks",), 1_000_001),
        (("clicks",), 10**30),
        (("ip",), "x" * 46),
        (("referrer",), "bing"),
        (("device", "type"), None),
        (("views", 0, "price"), 1e10),
        (("views", 0, "review"), "x" * 4_001),
        (("views",), [EXAMPLE["views"][0]] * (MAX_VIEWS + 1)),
        (("purchase", "payment"), "cheque"),
        (("purchase", "made"), "yes"),
    ],
)
def test_session_out_of_bounds_is_rejected(path: tuple[Any, ...], value: Any) -> None:
    assert not decodes(changed(path, value))


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_session_non_finite_numbers_are_rejected(text: str) -> None:
    record = json.dumps(EXAMPLE).replace('"price": 5000.0', f'"price": {text}')
    assert text in record
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(record.encode(), type=Session)


def test_records_are_immutable() -> None:
    decoded: Any = decode(EXAMPLE)
    with pytest.raises(AttributeError):
        decoded.user_id = "other"
