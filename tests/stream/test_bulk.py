"""Bulk request bodies, bulk responses and dead letters."""

import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flink.bulk import (
    MAX_DEAD_LETTER_CHARACTERS,
    BulkResult,
    FailedRequest,
    Item,
    RejectedItem,
    bulk_action,
    bulk_body,
    chunks,
    latest_by_id,
    parse_bulk_response,
    parse_failed_response,
    record_to_dead_letter,
    split_in_half,
    to_dead_letter,
)
from flink.documents import build_documents
from include.contracts.dead_letters import DOCUMENT_ERRORS, DeadLetter, Origin
from include.contracts.index_documents import KpiMinute
from tests.valid_sessions import valid_session

MONTH = datetime(2026, 11, 1, tzinfo=UTC)
ORIGIN = Origin(topic="sessions.valid", partition=3, offset=42)


def item_of_size(number: int, size: int = 10) -> Item:
    return Item(number, "session_summary", str(number), b"x" * size)


def bulk_response(*results: tuple[int, str | None]) -> bytes:
    items = [
        {"index": {"status": status} | ({"error": {"type": kind, "reason": "no"}} if kind else {})}
        for status, kind in results
    ]
    return json.dumps({"items": items}).encode()


def failed_response(kind: str) -> bytes:
    return json.dumps({"error": {"type": kind, "reason": "no"}, "status": 400}).encode()


def kpi(sessions: int, category: str = "all") -> KpiMinute:
    return KpiMinute(
        minute=datetime(2026, 11, 23, 8, 15, tzinfo=UTC),
        category=category,
        arrival_date="2026-11-23",
        sessions=sessions,
        users=1,
        purchases=0,
        revenue=0.0,
        duration_s=1,
        mean_duration_s=1.0,
        conversion=0.0,
        late_sessions=0,
    )


def test_bulk_body_has_index_and_id_before_each_document() -> None:
    session = valid_session(user_id="u", session_id='s-"1\\')
    items = [bulk_action(0, *document, session.received_at) for document in build_documents(session)]
    lines = bulk_body(items).split(b"\n")
    assert lines.pop() == b""
    actions = [json.loads(line)["index"] for line in lines[::2]]
    assert actions == [
        {"_index": "session_summary-2026.11", "_id": 'u:s-"1\\'},
        {"_index": "product_details-2026.11", "_id": 'u:s-"1\\:0'},
        {"_index": "product_sentiment-2026.11", "_id": 'u:s-"1\\:0'},
    ]
    assert json.loads(lines[1])["session_id"] == session.session_id


def test_bulk_action_month_is_in_utc() -> None:
    session = valid_session(started_at=datetime.fromisoformat("2026-12-01T00:30:00+02:00"))
    item = bulk_action(0, *build_documents(session)[0], session.received_at)
    assert b'"_index":"session_summary-2026.11"' in item.lines


def test_bulk_action_of_an_event_that_arrived_years_later_uses_the_older_index() -> None:
    session = valid_session(started_at=datetime(2006, 3, 1, tzinfo=UTC))
    items = [bulk_action(0, *document, MONTH) for document in build_documents(session)]
    actions = [json.loads(item.lines.split(b"\n")[0])["index"]["_index"] for item in items]
    assert actions == ["session_summary-older", "product_details-older", "product_sentiment-older"]


def test_bulk_action_with_a_version_uses_external_gte() -> None:
    action = json.loads(bulk_action(0, "kpi_minute", "id", kpi(7), MONTH, version=7).lines.split(b"\n")[0])["index"]
    assert (action["version"], action["version_type"]) == (7, "external_gte")


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 10), st.integers(1, 120))
def test_chunks_keep_order_and_limits(sizes: list[int], max_documents: int, max_bytes: int) -> None:
    items = [item_of_size(number, length) for number, length in enumerate(sizes)]
    result = list(chunks(items, max_documents, max_bytes))
    assert [item for chunk in result for item in chunk] == items
    for chunk in result:
        assert 0 < len(chunk) <= max_documents
        assert len(chunk) == 1 or sum(len(item.lines) for item in chunk) <= max_bytes


def test_split_in_half_keeps_all_items_in_order() -> None:
    items = [item_of_size(number) for number in range(5)]
    first, second = split_in_half(items)
    assert [*first, *second] == items
    assert len(first) == 2


def test_latest_by_id_returns_the_last_item_of_each_id() -> None:
    states = [bulk_action(row, "kpi_minute", name, kpi(row + 1), MONTH) for row, name in enumerate(("a", "b", "a"))]
    assert [(item.id, item.row) for item in latest_by_id(states)] == [("a", 2), ("b", 1)]


def test_parse_bulk_response_separates_stored_retryable_and_rejected_items() -> None:
    items = [item_of_size(number) for number in range(6)]
    body = bulk_response(
        (201, None),
        (429, "es_rejected_execution_exception"),
        (400, "strict_dynamic_mapping_exception"),
        (200, None),
        (503, "unavailable_shards_exception"),
        (409, "version_conflict_engine_exception"),
    )
    result = parse_bulk_response(items, body)
    assert result.retryable == [items[1], items[4]]
    assert result.rejected == [RejectedItem(items[2], "400 strict_dynamic_mapping_exception: no")]
    assert result.retry_reason == "503 unavailable_shards_exception: no"


def test_parse_bulk_response_reason_includes_the_cause() -> None:
    error = {"type": "document_parsing_exception", "reason": "failed", "caused_by": {"reason": "not a date"}}
    body = json.dumps({"items": [{"index": {"status": 400, "error": error}}]}).encode()
    assert (
        parse_bulk_response([item_of_size(0)], body).rejected[0].reason
        == "400 document_parsing_exception: failed (not a date)"
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "index_closed_exception"),
        (400, "illegal_argument_exception"),
        (400, "validation_exception"),
        (403, "cluster_block_exception"),
        (403, "security_exception"),
        (404, "index_not_found_exception"),
        (429, "cluster_block_exception"),
        (409, "conflict_of_another_kind"),
        (500, "null_pointer_exception"),
        (400, "an_error_of_a_later_release"),
    ],
)
def test_parse_bulk_response_index_error_is_retryable(status: int, kind: str) -> None:
    result = parse_bulk_response([item_of_size(0)], bulk_response((status, kind)))
    assert (result.retryable, result.rejected) == ([item_of_size(0)], [])
    assert result.retry_reason == f"{status} {kind}: no"


@pytest.mark.parametrize("kind", sorted(DOCUMENT_ERRORS))
def test_parse_bulk_response_document_error_rejects_the_document(kind: str) -> None:
    result = parse_bulk_response([item_of_size(0)], bulk_response((400, kind)))
    assert result == BulkResult([], [RejectedItem(item_of_size(0), f"400 {kind}: no")], None)


def test_parse_bulk_response_failure_without_an_error_is_retryable() -> None:
    assert parse_bulk_response([item_of_size(0)], bulk_response((500, None))).retryable == [item_of_size(0)]


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"items":[{}]}', bulk_response((201, None), (201, None))])
def test_parse_bulk_response_without_a_result_per_document_raises_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match="invalid bulk response"):
        parse_bulk_response([item_of_size(0)], body)


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (400, b"<html>Bad Request", FailedRequest("400 <html>Bad Request", False)),
        (
            400,
            failed_response("illegal_argument_exception"),
            FailedRequest("400 illegal_argument_exception: no", False),
        ),
        (400, failed_response("mapper_parsing_exception"), FailedRequest("400 mapper_parsing_exception: no", True)),
        (503, failed_response("mapper_parsing_exception"), FailedRequest("503 mapper_parsing_exception: no", False)),
        (413, b"", FailedRequest("413 ", True)),
        (413, failed_response("content_too_long_exception"), FailedRequest("413 content_too_long_exception: no", True)),
        (400, b'{"error":"no handler found"}', FailedRequest('400 {"error":"no handler found"}', False)),
    ],
)
def test_parse_failed_response_rejects_a_document_only_for_document_errors(
    status: int, body: bytes, failure: FailedRequest
) -> None:
    assert parse_failed_response(status, body) == failure


def test_to_dead_letter_contains_the_document_as_sent() -> None:
    document = build_documents(valid_session())[0]
    item = bulk_action(5, *document, MONTH)
    dead_letter = msgspec.json.decode(to_dead_letter(RejectedItem(item, "400 why"), ORIGIN), type=DeadLetter)
    assert (dead_letter.index, dead_letter.id, dead_letter.reason, dead_letter.origin) == (
        item.alias,
        item.id,
        "400 why",
        ORIGIN,
    )
    assert dead_letter.document.encode() == msgspec.json.encode(document.document)
    assert dead_letter.target == "session_summary-2026.11"
    assert not dead_letter.truncated


@pytest.mark.parametrize("value", [None, b"", b"\xff\xfe", b"{", b'"\xed\xa0\x80"'])
def test_record_to_dead_letter_accepts_any_bytes(value: bytes | None) -> None:
    dead_letter = msgspec.json.decode(
        record_to_dead_letter("session_summary", value, "unreadable", ORIGIN), type=DeadLetter
    )
    assert dead_letter.id is None
    assert dead_letter.document == (value or b"").decode("utf-8", "backslashreplace")


def test_record_to_dead_letter_truncates_a_large_record() -> None:
    text = record_to_dead_letter("session_summary", b"x" * (MAX_DEAD_LETTER_CHARACTERS + 1), "unreadable", ORIGIN)
    dead_letter = msgspec.json.decode(text, type=DeadLetter)
    assert dead_letter.truncated
    assert len(dead_letter.document) == MAX_DEAD_LETTER_CHARACTERS
