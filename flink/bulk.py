"""Bulk requests as bytes and bulk answers as decisions; pure, without a connection."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from include.contracts.dead_letters import DOCUMENT_ERRORS, DeadLetter, Origin
from include.contracts.index_documents import MONTHS_APART, TIME_FIELD, Document, index_name, months_between

MAX_BODY_BYTES = 8 * 1024 * 1024
# Enough to judge what happened; the whole record stays in its topic at the letter's origin.
MAX_LETTER_CHARACTERS = 256 * 1024
MAX_EXCERPT_BYTES = 300
_encode = msgspec.json.Encoder().encode
_prefixes: dict[tuple[str, int, int, bool], bytes] = {}


class Item(NamedTuple):
    """One document on its way: the input row it came from and its two lines of a bulk body."""

    row: int
    alias: str
    id: str
    lines: bytes


class RejectedItem(NamedTuple):
    """A document Elasticsearch will never take as it is."""

    item: Item
    reason: str


class Answer(NamedTuple):
    """What to do after one bulk answer: `again` goes out once more, `refused` becomes dead letters."""

    again: list[Item]
    refused: list[RejectedItem]
    busy: str | None


class Failure(NamedTuple):
    """A request refused as a whole. `refuses_document`: a document that gets this answer alone is a dead letter."""

    reason: str
    refuses_document: bool


class _Error(msgspec.Struct, gc=False):
    type: str = "unknown"
    reason: str | None = None
    caused_by: dict[str, Any] | None = None


class _Result(msgspec.Struct, gc=False):
    status: int
    error: _Error | None = None


class _FailedResponse(msgspec.Struct, gc=False):
    error: _Error


class _BulkResponse(msgspec.Struct, gc=False):
    items: list[dict[str, _Result]] = []


_decode_response = msgspec.json.Decoder(_BulkResponse).decode
_decode_failed_response = msgspec.json.Decoder(_FailedResponse).decode


def bulk_action(
    row: int, alias: str, identity: str, document: Document, arrived: datetime, *, version: int | None = None
) -> Item:
    """The document as an index action on the index of its month; sending it again replaces it.

    `arrived` decides with the event time which index that is. With a `version`, it replaces only what has the same
    version or a lower one.
    """
    event_time: datetime = getattr(document, TIME_FIELD[alias])
    older = months_between(event_time, arrived) > MONTHS_APART
    key = (alias, 0, 0, older) if older else (alias, event_time.year, event_time.month, older)
    prefix = _prefixes.get(key)
    if prefix is None:
        prefix = _prefixes[key] = b'{"index":{"_index":"%b","_id":' % index_name(alias, event_time, arrived).encode()
    guard = b"" if version is None else b',"version_type":"external_gte","version":%d' % version
    return Item(row, alias, identity, b"%b%b%b}}\n%b\n" % (prefix, _encode(identity), guard, _encode(document)))


def chunks(items: Iterable[Item], documents: int, size: int = MAX_BODY_BYTES) -> Iterator[list[Item]]:
    """Runs of at most `documents` items and `size` bytes (a single larger item goes alone)."""
    chunk: list[Item] = []
    length = 0
    for item in items:
        if chunk and (len(chunk) == documents or length + len(item.lines) > size):
            yield chunk
            chunk, length = [], 0
        chunk.append(item)
        length += len(item.lines)
    if chunk:
        yield chunk


def newest_of(items: Iterable[Item]) -> list[Item]:
    """One item for each id, the last: chunks travel side by side, so an older state could land last."""
    return list({(item.alias, item.id): item for item in items}.values())


def body_of(items: Sequence[Item]) -> bytes:
    """The bulk request body."""
    return b"".join([item.lines for item in items])


def read_answer(items: Sequence[Item], body: bytes) -> Answer:
    """Sort the items of one accepted request by its answer (`items.*.status`, `items.*.error`).

    Only an error of DOCUMENT_ERRORS refuses an item; every other failure is retried.

    Raises ValueError for an answer that does not speak about each item.
    """
    try:
        results = _decode_response(body).items
    except msgspec.MsgspecError as error:
        raise ValueError(f"unreadable bulk answer: {error}") from None
    if len(results) != len(items):
        raise ValueError(f"the bulk answer speaks of {len(results)} documents, {len(items)} were sent")
    again: list[Item] = []
    refused: list[RejectedItem] = []
    busy: str | None = None
    for item, result in zip(items, results, strict=True):
        if not result:
            raise ValueError("unreadable bulk answer: no result of a document")
        for outcome in result.values():
            if outcome.status < HTTPStatus.MULTIPLE_CHOICES or _is_newer_there(outcome):
                continue
            reason = _reason(outcome)
            if outcome.error is not None and outcome.error.type in DOCUMENT_ERRORS:
                refused.append(RejectedItem(item, reason))
            else:
                again.append(item)
                busy = reason
    return Answer(again, refused, busy)


def read_failure(status: int, body: bytes) -> Failure:
    """Judge the answer to a request that was refused as a whole."""
    try:
        error = _decode_failed_response(body).error
    except msgspec.MsgspecError:
        # Of a proxy, or of the HTTP layer of Elasticsearch.
        excerpt = body[:MAX_EXCERPT_BYTES].decode("utf-8", "replace")
        return Failure(f"{status} {excerpt}", status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    is_document_error = status == HTTPStatus.BAD_REQUEST and error.type in DOCUMENT_ERRORS
    refuses = is_document_error or status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return Failure(_reason(_Result(status, error)), refuses)


def split_in_half(items: Sequence[Item]) -> tuple[Sequence[Item], Sequence[Item]]:
    """Both split_in_half of a request that was too large, in order."""
    middle = len(items) // 2
    return items[:middle], items[middle:]


def to_dead_letter(refusal: RejectedItem, origin: Origin) -> str:
    """The dead letter of a refused document, as JSON."""
    action, source = refusal.item.lines.split(b"\n", 1)
    target = msgspec.json.decode(action)["index"].get("_index")
    return _dead_letter(
        refusal.item.alias, refusal.item.id, refusal.reason, source.rstrip(b"\n").decode(), origin, target
    )


def record_to_dead_letter(alias: str, value: bytes | None, reason: str, origin: Origin) -> str:
    """The dead letter of a record that could not be read into a document, as JSON."""
    text = "" if value is None else value.decode("utf-8", "backslashreplace")
    return _dead_letter(alias, None, reason, text, origin)


def _dead_letter(
    alias: str, identity: str | None, reason: str, text: str, origin: Origin, target: str | None = None
) -> str:
    dead_letter = DeadLetter(
        index=alias,
        target=target,
        id=identity,
        reason=reason,
        document=text[:MAX_LETTER_CHARACTERS],
        truncated=len(text) > MAX_LETTER_CHARACTERS,
        origin=origin,
    )
    return _encode(dead_letter).decode()


def _is_newer_there(result: _Result) -> bool:
    """Whether the index has the document with a higher version."""
    error = result.error or _Error()
    return result.status == HTTPStatus.CONFLICT and error.type == "version_conflict_engine_exception"


def _reason(result: _Result) -> str:
    error = result.error or _Error()
    reason = f"{result.status} {error.type}: {error.reason or ''}".rstrip(": ")
    cause = (error.caused_by or {}).get("reason")
    return f"{reason} ({cause})" if cause else reason
