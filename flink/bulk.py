"""Build bulk requests and parse bulk responses. Pure functions."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from include.contracts.dead_letters import DOCUMENT_ERRORS, DeadLetter, Origin
from include.contracts.index_documents import MONTHS_APART, TIME_FIELD, Document, index_name, months_between

MAX_BODY_BYTES = 8 * 1024 * 1024
# Because the whole record stays in its topic at the dead letter's origin, an excerpt is enough.
MAX_DEAD_LETTER_CHARACTERS = 256 * 1024
MAX_EXCERPT_BYTES = 300
_encode = msgspec.json.Encoder().encode
_prefixes: dict[tuple[str, int, int, bool], bytes] = {}


class Item(NamedTuple):
    """A document to index: its input row and its two lines of a bulk body."""

    row: int
    alias: str
    id: str
    lines: bytes


class RejectedItem(NamedTuple):
    """A document that Elasticsearch rejects permanently."""

    item: Item
    reason: str


class BulkResult(NamedTuple):
    """Result of one bulk request: `retryable` items are sent again, `rejected` ones become dead letters."""

    retryable: list[Item]
    rejected: list[RejectedItem]
    retry_reason: str | None


class FailedRequest(NamedTuple):
    """A request that failed as a whole. `rejects_document`: if it has one document, that is a dead letter."""

    reason: str
    rejects_document: bool


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
    row: int, alias: str, document_id: str, document: Document, arrived: datetime, *, version: int | None = None
) -> Item:
    """Build an index action on the document's monthly index; repeating it replaces the document.

    Args:
        row: Input row of the document.
        alias: Alias of the index.
        document_id: Id, unique within the alias.
        document: The document.
        arrived: Arrival time; together with the event time it selects the index.
        version: If given, the action replaces only documents of the same or a lower version.
    """
    event_time: datetime = getattr(document, TIME_FIELD[alias])
    is_older = months_between(event_time, arrived) > MONTHS_APART
    key = (alias, 0, 0, is_older) if is_older else (alias, event_time.year, event_time.month, is_older)
    prefix = _prefixes.get(key)
    if prefix is None:
        prefix = _prefixes[key] = b'{"index":{"_index":"%b","_id":' % index_name(alias, event_time, arrived).encode()
    guard = b"" if version is None else b',"version_type":"external_gte","version":%d' % version
    return Item(row, alias, document_id, b"%b%b%b}}\n%b\n" % (prefix, _encode(document_id), guard, _encode(document)))


def chunks(items: Iterable[Item], max_documents: int, max_bytes: int = MAX_BODY_BYTES) -> Iterator[list[Item]]:
    """Yield chunks of at most `max_documents` items and `max_bytes` bytes; a larger item is a separate chunk."""
    chunk: list[Item] = []
    size_bytes = 0
    for item in items:
        if chunk and (len(chunk) == max_documents or size_bytes + len(item.lines) > max_bytes):
            yield chunk
            chunk, size_bytes = [], 0
        chunk.append(item)
        size_bytes += len(item.lines)
    if chunk:
        yield chunk


def latest_by_id(items: Iterable[Item]) -> list[Item]:
    """Return the last item of each id, because an older state in a concurrent request could be indexed last."""
    return list({(item.alias, item.id): item for item in items}.values())


def bulk_body(items: Sequence[Item]) -> bytes:
    """Return the body of a bulk request."""
    return b"".join([item.lines for item in items])


def parse_bulk_response(items: Sequence[Item], body: bytes) -> BulkResult:
    """Classify the items of one accepted request by its response (`items.*.status`, `items.*.error`).

    Only an error in DOCUMENT_ERRORS rejects an item. Every other failure is retryable.

    Raises:
        ValueError: The response is invalid or has no result for an item.
    """
    try:
        results = _decode_response(body).items
    except msgspec.MsgspecError as error:
        raise ValueError(f"invalid bulk response: {error}") from None
    if len(results) != len(items):
        raise ValueError(f"invalid bulk response: {len(results)} results for {len(items)} documents")
    retryable: list[Item] = []
    rejected: list[RejectedItem] = []
    retry_reason: str | None = None
    for item, result in zip(items, results, strict=True):
        if not result:
            raise ValueError("invalid bulk response: a document has no result")
        for outcome in result.values():
            if outcome.status < HTTPStatus.MULTIPLE_CHOICES or _has_newer_version(outcome):
                continue
            reason = _reason(outcome)
            if outcome.error is not None and outcome.error.type in DOCUMENT_ERRORS:
                rejected.append(RejectedItem(item, reason))
            else:
                retryable.append(item)
                retry_reason = reason
    return BulkResult(retryable, rejected, retry_reason)


def parse_failed_response(status: int, body: bytes) -> FailedRequest:
    """Parse the response to a request that failed as a whole."""
    try:
        error = _decode_failed_response(body).error
    except msgspec.MsgspecError:
        # The response of a proxy or of Elasticsearch's HTTP layer is not in Elasticsearch's error format.
        excerpt = body[:MAX_EXCERPT_BYTES].decode("utf-8", "replace")
        return FailedRequest(f"{status} {excerpt}", status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    is_document_error = status == HTTPStatus.BAD_REQUEST and error.type in DOCUMENT_ERRORS
    rejects_document = is_document_error or status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return FailedRequest(_reason(_Result(status, error)), rejects_document)


def split_in_half(items: Sequence[Item]) -> tuple[Sequence[Item], Sequence[Item]]:
    """Split the items of a request into two halves, in order."""
    middle = len(items) // 2
    return items[:middle], items[middle:]


def to_dead_letter(rejection: RejectedItem, origin: Origin) -> str:
    """Return the dead letter of a rejected document, as JSON."""
    action, source = rejection.item.lines.split(b"\n", 1)
    target = msgspec.json.decode(action)["index"].get("_index")
    return _dead_letter(
        rejection.item.alias, rejection.item.id, rejection.reason, source.rstrip(b"\n").decode(), origin, target
    )


def record_to_dead_letter(alias: str, value: bytes | None, reason: str, origin: Origin) -> str:
    """Return the dead letter of a record that could not be decoded, as JSON."""
    text = "" if value is None else value.decode("utf-8", "backslashreplace")
    return _dead_letter(alias, None, reason, text, origin)


def _dead_letter(
    alias: str, document_id: str | None, reason: str, text: str, origin: Origin, target: str | None = None
) -> str:
    dead_letter = DeadLetter(
        index=alias,
        target=target,
        id=document_id,
        reason=reason,
        document=text[:MAX_DEAD_LETTER_CHARACTERS],
        truncated=len(text) > MAX_DEAD_LETTER_CHARACTERS,
        origin=origin,
    )
    return _encode(dead_letter).decode()


def _has_newer_version(result: _Result) -> bool:
    """Return whether the index has a higher version of the document."""
    error = result.error or _Error()
    return result.status == HTTPStatus.CONFLICT and error.type == "version_conflict_engine_exception"


def _reason(result: _Result) -> str:
    error = result.error or _Error()
    reason = f"{result.status} {error.type}: {error.reason or ''}".rstrip(": ")
    cause = (error.caused_by or {}).get("reason")
    return f"{reason} ({cause})" if cause else reason
