"""Faults of single records: each turns a valid visit into exactly one kind of invalid record."""

import json
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any, NamedTuple

import msgspec
from msgspec import structs

from include.contracts.reject_reasons import Reason
from include.contracts.session import Session, View
from include.ingest.customers import UNKNOWN_DEVICE
from include.ingest.plan import EPOCH, FUTURE_DAYS, PAST_DAYS, Fault, Limits

_encode = msgspec.json.Encoder().encode
_OUT_OF_RANGE = 10**30
_REVIEW_LENGTH = 4_000
_PADDING = "The table has four legs and a drawer on the left side. "


class FaultyRecord(NamedTuple):
    """The record that replaces the valid one, and the expected reject reason."""

    key: bytes | None
    value: bytes
    reason: Reason


def inject_fault(fault: Fault, rng: Random, session: Session, limits: Limits, ends_at_us: int) -> FaultyRecord:
    """Return the invalid record made of `session`; future clocks count from `ends_at_us`, the end of the plan."""
    key = session.user_id.encode()
    if fault in _CLOCKS:
        return FaultyRecord(key, _encode(_shift_clock(fault, rng, session, ends_at_us)), _CLOCKS[fault])
    if fault in _BYTES:
        reason, kinds = _BYTES[fault]
        return FaultyRecord(key, rng.choice(kinds)(_encode(session)), reason)
    if fault in _KEYS:
        return FaultyRecord(_KEYS[fault](rng, session), _encode(session), Reason.WRONG_KEY)
    reason, make = _VALUES[fault]
    return FaultyRecord(key, make(rng, session, limits), reason)


def _shift_clock(fault: Fault, rng: Random, session: Session, ends_at_us: int) -> Session:
    """Set the clock years ahead, or to the first days of 1970, as on a device that lost its time."""
    within = timedelta(seconds=rng.randint(0, 86_399), milliseconds=rng.randint(0, 999))
    if fault is Fault.PAST_CLOCK:
        return structs.replace(session, started_at=EPOCH + timedelta(days=rng.randrange(PAST_DAYS)) + within)
    ahead = timedelta(microseconds=ends_at_us, days=rng.randint(*FUTURE_DAYS))
    return structs.replace(session, started_at=EPOCH + ahead + within)


def _truncate(value: bytes) -> bytes:
    """Truncate between two characters, so that the remaining bytes are valid UTF-8."""
    return value[: len(value) * 2 // 3].decode(errors="ignore").encode()


def _duplicate_nested_key(value: bytes) -> bytes:
    return value.replace(b'"device":{', b'"device":{"type":"desktop",', 1)


_CLOCKS: dict[Fault, Reason] = {Fault.FUTURE_CLOCK: Reason.FUTURE_CLOCK, Fault.PAST_CLOCK: Reason.PAST_CLOCK}

_BYTES: dict[Fault, tuple[Reason, tuple[Callable[[bytes], bytes], ...]]] = {
    Fault.EMPTY: (Reason.EMPTY, (lambda value: b"",)),
    Fault.NOT_UTF8: (
        Reason.NOT_UTF8,
        (
            lambda value: value.replace(b'"city":"', b'"city":"\xff\xfe', 1),
            lambda value: value.replace(b'"city":"', b'"city":"\xc3\x28', 1),
            lambda value: value.decode().encode("utf-16"),
            lambda value: value[:-2] + b"\xf0\x9f",
        ),
    ),
    Fault.MALFORMED: (
        Reason.MALFORMED_JSON,
        (
            _truncate,
            lambda value: value + value,
            lambda value: value + b",",
            lambda value: b"[" + value + b"]",
            lambda value: value.replace(b'"', b"'"),
            lambda value: value.replace(b'"duration_s":', b'"duration_s":NaN,"was":', 1),
            lambda value: value.replace(b'"amount":', b'"amount":-Infinity,"was":', 1),
            lambda value: value.replace(b'"city":"', b'"city":"\\ud83d', 1),
            lambda value: b"\xef\xbb\xbf" + value,
            lambda value: b"   ",
            lambda value: b'"session"',
        ),
    ),
    Fault.UNKNOWN_VERSION: (
        Reason.UNKNOWN_VERSION,
        (
            lambda value: value.replace(b'"v":1', b'"v":2', 1),
            lambda value: value.replace(b'"v":1', b'"v":99', 1),
            lambda value: value.replace(b'"v":1,', b"", 1),
        ),
    ),
    Fault.REPEATED_KEY: (
        Reason.REPEATED_KEY,
        (
            lambda value: value.replace(b'{"v":1,', b'{"v":1,"clicks":1,', 1),
            lambda value: value.replace(b'{"v":1,', b'{"v":1,"v":1,', 1),
            _duplicate_nested_key,
        ),
    ),
}


def _replace(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    *parents, last = path.split(".")

    def change(record: dict[str, Any]) -> None:
        for name in parents:
            record = record[name]
        record[last] = value

    return change


def _remove(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda record: record.pop(name)


_VIOLATIONS: tuple[Callable[[dict[str, Any]], None], ...] = (
    _remove("device"),
    _remove("purchase"),
    _remove("started_at"),
    _replace("coupon", "WELCOME"),
    _replace("device.screen", "large"),
    _replace("device.type", "smartwatch"),
    _replace("referrer", "altavista"),
    _replace("duration_s", "214"),
    _replace("duration_s", -5),
    _replace("duration_s", 700_000),
    _replace("clicks", 3.5),
    _replace("clicks", True),
    _replace("clicks", _OUT_OF_RANGE),
    _replace("page_views", -1),
    _replace("started_at", "2026-11-23T08:15:30"),
    _replace("started_at", "yesterday"),
    _replace("session_id", None),
    _replace("session_id", ""),
    _replace("session_id", "s" * 10_000),
    _replace("views", {}),
    _replace("views", [{"product_id": "p01"}]),
    _replace("purchase.amount", "5000"),
    _replace("user.gender", "female"),
    _replace("ip", "1" * 46),
    _replace("location", "San Jose"),
)


def _violate_contract(rng: Random, session: Session, _: Limits) -> bytes:
    """Violate the contract once, in otherwise valid JSON."""
    record: dict[str, Any] = msgspec.to_builtins(session)
    rng.choice(_VIOLATIONS)(record)
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()


def _insert_control_character(rng: Random, session: Session, _: Limits) -> bytes:
    """Insert a control character into a string that must not contain one."""
    sign = rng.choice("\x00\x07\x0b\x1b")
    view = session.views[0]
    kinds = (
        {"location": structs.replace(session.location, city=f"San{sign}Jose")},
        {"user": structs.replace(session.user, name="Ada\tAbe")},
        {"views": [structs.replace(view, review=f"Nice{sign}"), *session.views[1:]]},
    )
    return _encode(structs.replace(session, **rng.choice(kinds)))


def _exceed_max_bytes(rng: Random, session: Session, limits: Limits) -> bytes:
    """Exceed the maximum length only, by long reviews."""
    length = limits.max_record_bytes + rng.randint(1, 4_000)
    text = (_PADDING * (_REVIEW_LENGTH // len(_PADDING) + 1))[:_REVIEW_LENGTH]
    long = structs.replace(session.views[0], review=text)
    spare = length - len(_encode(structs.replace(session, views=[])))
    views: list[View] = [long] * (spare // (len(_encode(long)) + 1))
    value = _encode(structs.replace(session, views=views))
    while len(value) < length:
        views.append(structs.replace(long, review=text[: max(1, min(_REVIEW_LENGTH, length - len(value)))]))
        value = _encode(structs.replace(session, views=views))
    return value


def _exceed_click_rate(rng: Random, session: Session, limits: Limits) -> bytes:
    seconds = rng.randint(2, 20)
    clicks = int(limits.max_clicks_per_s * seconds * (2 + 4 * rng.random())) + 10
    return _encode(structs.replace(session, duration_s=seconds, clicks=clicks))


def _mismatch_key(rng: Random, session: Session) -> bytes:
    key = session.user_id.encode()
    return rng.choice([key[:-1] + b"x", session.session_id.encode(), key.upper(), b""])


_KEYS: dict[Fault, Callable[[Random, Session], bytes | None]] = {
    Fault.NULL_KEY: lambda rng, session: None,
    Fault.WRONG_KEY: _mismatch_key,
}

_VALUES: dict[Fault, tuple[Reason, Callable[[Random, Session, Limits], bytes]]] = {
    Fault.CONTRACT: (Reason.CONTRACT_VIOLATION, _violate_contract),
    Fault.CONTROL_CHARACTER: (Reason.CONTROL_CHARACTER, _insert_control_character),
    Fault.TOO_LONG: (Reason.TOO_LONG, _exceed_max_bytes),
    Fault.PACE: (Reason.IMPOSSIBLE_PACE, _exceed_click_rate),
    Fault.NEW_USER_UNKNOWN_DEVICE: (
        Reason.UNKNOWN_DEVICE,
        lambda rng, session, limits: _encode(structs.replace(session, device=UNKNOWN_DEVICE)),
    ),
    Fault.NEW_USER_UNKNOWN_REFERRER: (
        Reason.UNKNOWN_REFERRER,
        lambda rng, session, limits: _encode(structs.replace(session, referrer="unknown")),
    ),
}
