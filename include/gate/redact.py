"""Redact rejected records for display: no personal data, no control characters, bounded length.

A rejected record contains its bytes as the source sent them, so every text in it is untrusted.
"""

import hashlib
import re
from typing import Any

import msgspec

from include.contracts.session import Device, Location, Purchase, Session, User, View
from include.gate.masking import SEPARATORS
from include.gate.pseudonym import network_of

MAX_TEXT = 200
MAX_ITEMS = 20
MAX_DEPTH = 6
EMAIL_MASK, DIGITS_MASK, IP_MASK = "<email>", "<digits>", "<ip>"
READABLE_KEYS = frozenset(
    {
        *("v", "session_id", "started_at", "referrer", "last_action", "payment"),
        *("type", "os", "browser", "country", "state", "product_id", "category"),
    }
)
"""Keys whose texts are shown. Any other text is replaced by its length, because an unknown key may contain a name."""
TOKEN_KEYS = frozenset({"started_at", "referrer", "last_action", "payment", "type", "product_id", "category"})
"""Of these, keys whose texts are shown only if they are one word."""
READABLE_NUMBERS = frozenset({"v", "duration_s", "page_views", "clicks", "price", "seconds", "amount"})
"""Keys whose numbers are shown, up to MAX_NUMBER and with two decimals at most."""
MAX_NUMBER = 1_000_000
GROUPS = frozenset({"device", "location", "views", "purchase", "user"})
"""Keys with known nested keys. The values of any other key are masked."""
_KNOWN_KEYS = frozenset(
    field.name
    for record in (Session, User, Device, Location, View, Purchase)
    for field in msgspec.structs.fields(record)
)

_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,63}")
_EMAIL = re.compile(r"[^\s@\uff20\ufe6b<>\"'`]{1,64}[@\uff20\ufe6b][^\s@\uff20\ufe6b<>\"'`]{1,255}")
_IPV4 = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d{1,3}){3})(?![\d.])")
_IPV6 = re.compile(r"(?<![\w:])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){3,7}(?![\w:])")
# A wide or an invisible character between the digits has been replaced by \ufffd before.
_DIGITS = re.compile(rf"(?<![\d.-])\+?\d(?:[{SEPARATORS.replace('./', '/')}\ufffd]{{0,3}}+\d){{8,}}+")


def redact_text(text: str, limit: int = MAX_TEXT) -> str:
    """Mask e-mail addresses, IP addresses and runs of nine digits or more.

    Args:
        text: Text of a source or of the gate.
        limit: Maximum number of characters of the result.

    Returns:
        One line without control characters.
    """
    masked = _EMAIL.sub(EMAIL_MASK, plain(text[: 4 * limit]))
    masked = _IPV4.sub(IP_MASK, _IPV6.sub(IP_MASK, masked))
    return _cut(_DIGITS.sub(DIGITS_MASK, masked), limit)


def plain(text: str, limit: int = MAX_TEXT) -> str:
    """Return the text as one line: control, format and surrogate characters become U+FFFD."""
    cut = text[: 4 * limit]
    return "".join(mark if mark.isprintable() else "\ufffd" for mark in cut)


def redact_identifier(text: str) -> str:
    """Return an identifier with e-mail addresses masked; its digits are retained, because they identify the session."""
    return _cut(_EMAIL.sub(EMAIL_MASK, plain(text)), MAX_TEXT)


def redact_record(value: bytes) -> str:
    """Describe a record as sent, without personal data.

    Returns:
        JSON with the record's structure, the numbers of `READABLE_NUMBERS` and the texts of `READABLE_KEYS`;
        length and SHA-256 if the value is not a JSON object.
    """
    tree = decode_object(value)
    if tree is None:
        return f"{len(value):,} bytes, not a JSON object, sha256 {hashlib.sha256(value).hexdigest()[:16]}"
    return msgspec.json.encode(_masked(tree, "", 0, existing=True)).decode()


def decode_object(value: bytes) -> dict[str, Any] | None:
    """Decode one JSON object; None if the bytes are not a JSON object."""
    try:
        tree = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return tree if isinstance(tree, dict) else None


def _masked(node: Any, key: str, depth: int, *, existing: bool) -> Any:
    """Return the node without personal data; `known`: the contract has the key and all keys above it."""
    if isinstance(node, dict | list) and depth >= MAX_DEPTH:
        return f"({len(node)} items)"
    if isinstance(node, dict):
        inside = existing and (depth == 0 or key in GROUPS)
        shown = {
            _masked_key(name): _masked(part, name, depth + 1, existing=inside and name in _KNOWN_KEYS)
            for name, part in list(node.items())[:MAX_ITEMS]
        }
        return shown | ({"…": f"{len(node) - MAX_ITEMS} more"} if len(node) > MAX_ITEMS else {})
    if isinstance(node, list):
        items = [_masked(part, key, depth + 1, existing=existing) for part in node[:MAX_ITEMS]]
        return items + ([f"… {len(node) - MAX_ITEMS} more"] if len(node) > MAX_ITEMS else [])
    if isinstance(node, str):
        return _masked_text(node, key if existing else "")
    if node is None or isinstance(node, bool):
        return node
    is_shown = existing and key in READABLE_NUMBERS and abs(node) <= MAX_NUMBER and round(node, 2) == node
    return node if is_shown else "(number)"


def _masked_key(name: str) -> str:
    return redact_text(name, 64) if name in _KNOWN_KEYS or _TOKEN.fullmatch(name) else f"({len(name)} characters)"


def _masked_text(text: str, key: str) -> str:
    if key == "ip":
        try:
            return network_of(text)
        except ValueError:
            return f"({len(text)} characters)"
    if key == "session_id":
        return redact_identifier(text)
    is_shown = key in READABLE_KEYS and (key not in TOKEN_KEYS or _TOKEN.fullmatch(text))
    return redact_text(text) if is_shown else f"({len(text)} characters)"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
