"""Stateless validation of one record: from bytes to a candidate or a rejection. Pure functions.

Without state, the same record has the same result in live traffic, a replay and a test.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from include.contracts.reject_reasons import Reason
from include.contracts.session import VERSION, Device, Location, Purchase, Session, User, View
from include.contracts.settings import GateSettings
from include.gate.pseudonym import network_of

DETAIL_LENGTH = 300
# Number of keys of a complete record: 16 at the top, 3 user, 3 device, 4 location, 3 purchase; 6 for each view.
FIXED_KEYS, VIEW_KEYS = 29, 6
_ESCAPED_CONTROL = re.compile(rb"\\(?:[bfnrt]|u00[01]|u007[fF])")
# Messages of the decoder that end in text of the record, and the path that may follow it.
_QUOTING = ("Object contains unknown field", "Invalid enum value")
_PATH = re.compile(r" - at `(\$(?:\.[a-z_]+|\[(?:\d+|\.\.\.)\])*)`$")
_PATH_NAME = re.compile(r"\.([a-z_]+)")
_DAY_S = 86_400

FIELD_NAMES = frozenset(
    name for record in (Session, User, Device, Location, View, Purchase) for name in record.__struct_fields__
)
"""Names of the contract, which a detail may contain."""

_typed = msgspec.json.Decoder(Session)
_untyped = msgspec.json.Decoder()


class Rejection(NamedTuple):
    """Why a record is rejected; `detail` names the path, never a value of the visitor."""

    reason: Reason
    detail: str


class Candidate(NamedTuple):
    """A well-formed session that still needs the checks with state."""

    session: Session
    network: str | None
    too_fast: bool


@dataclass(frozen=True)
class Limits:
    """Limits of the stateless checks. Times in seconds."""

    max_record_bytes: int
    future_s: float
    past_s: float
    max_clicks_per_s: float

    @classmethod
    def of(cls, settings: GateSettings) -> "Limits":
        """Return the limits of these settings."""
        return cls(
            max_record_bytes=settings.max_record_bytes,
            future_s=settings.max_future_s,
            past_s=settings.max_past_days * _DAY_S,
            max_clicks_per_s=settings.max_clicks_per_s,
        )


def check(value: bytes | None, key: bytes | None, received_ms: int, limits: Limits) -> Candidate | Rejection:
    """Validate one record of `sessions.raw` by its bytes, its key and the broker's time of arrival (Unix ms)."""
    if not value:
        return Rejection(Reason.EMPTY, "the record has no value")
    if len(value) > limits.max_record_bytes:
        return Rejection(Reason.TOO_LONG, f"{len(value)} bytes, {limits.max_record_bytes} allowed")
    try:
        session = _typed.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _explain(value, error)
    if _may_repeat_keys(value, session) and (repeated := _repeated_key(value)) is not None:
        return Rejection(Reason.REPEATED_KEY, _cut(f"key {repeated!r} occurs twice in one object"))
    if _may_hold_control(value, session) and (location := _control_character(session)):
        return Rejection(Reason.CONTROL_CHARACTER, _cut(location))
    return _validate_semantics(session, key, received_ms, limits)


def _validate_semantics(session: Session, key: bytes | None, received_ms: int, limits: Limits) -> Candidate | Rejection:
    if key is None or key != session.user_id.encode():
        return Rejection(Reason.WRONG_KEY, "no key" if key is None else "the key is not the session's user_id")
    ahead_s = session.started_at.timestamp() - received_ms / 1000
    if ahead_s > limits.future_s:
        return Rejection(Reason.FUTURE_CLOCK, f"started_at is {ahead_s:.0f} s ahead of the broker")
    if -ahead_s > limits.past_s:
        return Rejection(Reason.PAST_CLOCK, f"started_at is {-ahead_s / _DAY_S:.0f} days old")
    network = None
    if session.ip is not None:
        try:
            network = network_of(session.ip)
        except ValueError:
            return Rejection(Reason.CONTRACT_VIOLATION, "not an IP address - at `$.ip`")
    too_fast = session.clicks is not None and session.clicks > limits.max_clicks_per_s * max(session.duration_s, 1)
    return Candidate(session, network, too_fast)


def _explain(value: bytes, error: Exception) -> Rejection:
    """Return the reason for a record that cannot be decoded: the first that applies in the order of `Reason`."""
    try:
        value.decode()
    except UnicodeDecodeError as wrong:
        return Rejection(Reason.NOT_UTF8, f"{wrong.reason} (byte {wrong.start})")
    try:
        tree = _untyped.decode(value)
    except msgspec.ValidationError as wrong:  # numbers that exceed every type
        return Rejection(Reason.CONTRACT_VIOLATION, _cut(str(wrong)))
    except RecursionError:
        return Rejection(Reason.MALFORMED_JSON, "nested too deeply")
    except msgspec.DecodeError as wrong:
        return Rejection(Reason.MALFORMED_JSON, _cut(str(wrong)))
    if not isinstance(tree, dict):
        return Rejection(Reason.MALFORMED_JSON, f"one JSON object expected, got {type(tree).__name__}")
    version = tree.get("v")
    if type(version) is not int or version != VERSION:
        return Rejection(Reason.UNKNOWN_VERSION, f"v is not {VERSION} - at `$.v`" if "v" in tree else "v is missing")
    return Rejection(Reason.CONTRACT_VIOLATION, _without_values(str(error)))


def _without_values(message: str) -> str:
    """Return a decoder's message without values of the record: an unknown key or value may be personal data."""
    quoting = next((start for start in _QUOTING if message.startswith(start)), None)
    if quoting is None:
        return _cut(message)
    # A key may look like the end of a message, so only a path of the contract's own names is repeated.
    path = _PATH.search(message)
    existing = path is not None and FIELD_NAMES.issuperset(_PATH_NAME.findall(path[1]))
    return _cut(f"{quoting} - at `{path[1]}`" if path is not None and existing else quoting)


def _may_repeat_keys(value: bytes, session: Session) -> bool:
    """Fast pre-check without false negatives: every key ends in `":`, and a complete record has a fixed number of keys.

    Necessary because the decoder keeps the last of two equal keys without an error. White space between a key and its
    colon, or `":` inside a string, only leads to the slow check.
    """
    return (
        value.count(b'":') != FIXED_KEYS + VIEW_KEYS * len(session.views)
        or b'" ' in value
        or b"\n" in value
        or b"\t" in value
        or b"\r" in value
    )


def _may_hold_control(value: bytes, session: Session) -> bool:
    """Fast pre-check without false negatives: JSON contains control characters only escaped, and DEL also unescaped.

    If all escapes are line ends and tabs of reviews, where they are allowed, no other string contains one.
    """
    if b"\x7f" in value:
        return True
    if b"\\" not in value or not (escapes := len(_ESCAPED_CONTROL.findall(value))):
        return False
    reviews = [view.review for view in session.views if view.review]
    return escapes != sum(review.count("\n") + review.count("\t") + review.count("\r") for review in reviews)


class _RepeatedKeyError(Exception):
    pass


def _no_repeats(pairs: list[tuple[str, Any]]) -> None:
    names = set()
    for name, _ in pairs:
        if name in names:
            raise _RepeatedKeyError(name)
        names.add(name)


def _repeated_key(value: bytes) -> str | None:
    try:
        json.loads(value, object_pairs_hook=_no_repeats)
    except _RepeatedKeyError as error:
        return str(error)
    return None


def _control_character(session: Session) -> str:
    """Return the path of a string with a control character; empty without one. Reviews may have line ends and tabs."""
    plain = msgspec.to_builtins(session, builtin_types=(datetime,))
    for path, text in _strings(plain, "$"):
        allowed = "\n\r\t" if path.endswith(".review") else ""
        if any((mark < " " or mark == "\x7f") and mark not in allowed for mark in text):
            return f"control character - at `{path}`"
    return ""


def _strings(node: Any, path: str) -> list[tuple[str, str]]:
    if isinstance(node, str):
        return [(path, node)]
    if isinstance(node, dict):
        return [result for name, part in node.items() for result in _strings(part, f"{path}.{name}")]
    if isinstance(node, list):
        return [result for number, part in enumerate(node) for result in _strings(part, f"{path}[{number}]")]
    return []


def _cut(text: str) -> str:
    return text if len(text) <= DETAIL_LENGTH else text[: DETAIL_LENGTH - 1] + "…"


def utc(moment: datetime) -> datetime:
    """Return the same instant in UTC."""
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
