"""Bulk bodies, answers and dead letters, byte by byte."""

import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flink.bulk import (
    MAX_LETTER_CHARACTERS,
    Answer,
    Failure,
    Item,
    RejectedItem,
    body_of,
    bulk_action,
    chunks,
    newest_of,
    read_answer,
    read_failure,
    record_to_dead_letter,
    split_in_half,
    to_dead_letter,
)
from flink.documents import documents_of
from include.contracts.dead_letters import DOCUMENT_ERRORS, DeadLetter, Origin
from include.contracts.index_documents import KpiMinute
from tests.valid_sessions import valid_session

MONTH = datetime(2026, 11, 1, tzinfo=UTC)
ORIGIN = Origin(topic="sessions.valid", partition=3, offset=42)


def plain(number: int, size: int = 10) -> Item:
    return Item(number, "session_summary", str(number), b"x" * size)


def answer(*results: tuple[int, str | None]) -> bytes:
    items = [
        {"index": {"status": status} | ({"error": {"type": kind, "reason": "no"}} if kind else {})}
        for status, kind in results
    ]
    return json.dumps({"items": items}).encode()


def failed(kind: str) -> bytes:
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


def test_a_body_names_index_and_id_before_each_document() -> None:
    session = valid_session(user_id="u", session_id='s-"1\\')
    items = [bulk_action(0, *addressed, session.received_at) for addressed in documents_of(session)]
    lines = body_of(items).split(b"\n")
    assert lines.pop() == b""
    actions = [json.loads(line)["index"] for line in lines[::2]]
    assert actions == [
        {"_index": "session_summary-2026.11", "_id": 'u:s-"1\\'},
        {"_index": "product_details-2026.11", "_id": 'u:s-"1\\:0'},
        {"_index": "product_sentiment-2026.11", "_id": 'u:s-"1\\:0'},
    ]
    assert json.loads(lines[1])["session_id"] == session.session_id


def test_the_month_is_of_utc() -> None:
    session = valid_session(started_at=datetime.fromisoformat("2026-12-01T00:30:00+02:00"))
    item = bulk_action(0, *documents_of(session)[0], session.received_at)
    assert b'"_index":"session_summary-2026.11"' in item.lines


def test_item_of_an_event_that_arrived_years_later_names_the_index_of_older_events() -> None:
    session = valid_session(started_at=datetime(2006, 3, 1, tzinfo=UTC))
    items = [bulk_action(0, *addressed, MONTH) for addressed in documents_of(session)]
    actions = [json.loads(item.lines.split(b"\n")[0])["index"]["_index"] for item in items]
    assert actions == ["session_summary-older", "product_details-older", "product_sentiment-older"]


def test_a_versioned_item_yields_to_what_is_newer() -> None:
    action = json.loads(bulk_action(0, "kpi_minute", "id", kpi(7), MONTH, version=7).lines.split(b"\n")[0])["index"]
    assert (action["version"], action["version_type"]) == (7, "external_gte")


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 10), st.integers(1, 120))
def test_chunks_keep_order_and_both_bounds(sizes: list[int], documents: int, size: int) -> None:
    items = [plain(number, length) for number, length in enumerate(sizes)]
    made = list(chunks(items, documents, size))
    assert [item for chunk in made for item in chunk] == items
    for chunk in made:
        assert 0 < len(chunk) <= documents
        assert len(chunk) == 1 or sum(len(item.lines) for item in chunk) <= size


def test_halves_are_the_whole_in_order() -> None:
    items = [plain(number) for number in range(5)]
    first, second = split_in_half(items)
    assert [*first, *second] == items
    assert len(first) == 2


def test_of_one_id_only_the_last_state_travels() -> None:
    states = [bulk_action(row, "kpi_minute", name, kpi(row + 1), MONTH) for row, name in enumerate(("a", "b", "a"))]
    assert [(item.id, item.row) for item in newest_of(states)] == [("a", 2), ("b", 1)]


def test_an_answer_sorts_stored_busy_and_refused() -> None:
    items = [plain(number) for number in range(6)]
    body = answer(
        (201, None),
        (429, "es_rejected_execution_exception"),
        (400, "strict_dynamic_mapping_exception"),
        (200, None),
        (503, "unavailable_shards_exception"),
        (409, "version_conflict_engine_exception"),
    )
    decision = read_answer(items, body)
    assert decision.again == [items[1], items[4]]
    assert decision.refused == [RejectedItem(items[2], "400 strict_dynamic_mapping_exception: no")]
    assert decision.busy == "503 unavailable_shards_exception: no"


def test_the_cause_of_a_refusal_is_told() -> None:
    error = {"type": "document_parsing_exception", "reason": "failed", "caused_by": {"reason": "not a date"}}
    body = json.dumps({"items": [{"index": {"status": 400, "error": error}}]}).encode()
    assert read_answer([plain(0)], body).refused[0].reason == "400 document_parsing_exception: failed (not a date)"


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
def test_read_answer_with_an_error_of_the_index_retries_the_document(status: int, kind: str) -> None:
    decision = read_answer([plain(0)], answer((status, kind)))
    assert (decision.again, decision.refused) == ([plain(0)], [])
    assert decision.busy == f"{status} {kind}: no"


@pytest.mark.parametrize("kind", sorted(DOCUMENT_ERRORS))
def test_read_answer_with_an_error_of_the_document_refuses_it(kind: str) -> None:
    decision = read_answer([plain(0)], answer((400, kind)))
    assert decision == Answer([], [RejectedItem(plain(0), f"400 {kind}: no")], None)


def test_read_answer_with_a_failure_without_an_error_retries_the_document() -> None:
    assert read_answer([plain(0)], answer((500, None))).again == [plain(0)]


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"items":[{}]}', answer((201, None), (201, None))])
def test_an_answer_that_does_not_speak_of_each_document_is_no_answer(body: bytes) -> None:
    with pytest.raises(ValueError, match="bulk answer"):
        read_answer([plain(0)], body)


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (400, b"<html>Bad Request", Failure("400 <html>Bad Request", False)),
        (400, failed("illegal_argument_exception"), Failure("400 illegal_argument_exception: no", False)),
        (400, failed("mapper_parsing_exception"), Failure("400 mapper_parsing_exception: no", True)),
        (503, failed("mapper_parsing_exception"), Failure("503 mapper_parsing_exception: no", False)),
        (413, b"", Failure("413 ", True)),
        (413, failed("content_too_long_exception"), Failure("413 content_too_long_exception: no", True)),
        (400, b'{"error":"no handler found"}', Failure('400 {"error":"no handler found"}', False)),
    ],
)
def test_read_failure_of_a_request_refuses_a_document_by_the_closed_list_only(
    status: int, body: bytes, failure: Failure
) -> None:
    assert read_failure(status, body) == failure


def test_a_letter_holds_the_document_as_it_was_sent() -> None:
    addressed = documents_of(valid_session())[0]
    item = bulk_action(5, *addressed, MONTH)
    dead_letter = msgspec.json.decode(to_dead_letter(RejectedItem(item, "400 why"), ORIGIN), type=DeadLetter)
    assert (dead_letter.index, dead_letter.id, dead_letter.reason, dead_letter.origin) == (
        item.alias,
        item.id,
        "400 why",
        ORIGIN,
    )
    assert dead_letter.document.encode() == msgspec.json.encode(addressed.document)
    assert dead_letter.target == "session_summary-2026.11"
    assert not dead_letter.truncated


@pytest.mark.parametrize("value", [None, b"", b"\xff\xfe", b"{", b'"\xed\xa0\x80"'])
def test_a_letter_takes_any_bytes(value: bytes | None) -> None:
    dead_letter = msgspec.json.decode(
        record_to_dead_letter("session_summary", value, "unreadable", ORIGIN), type=DeadLetter
    )
    assert dead_letter.id is None
    assert dead_letter.document == (value or b"").decode("utf-8", "backslashreplace")


def test_a_huge_record_makes_a_bounded_letter() -> None:
    text = record_to_dead_letter("session_summary", b"x" * (MAX_LETTER_CHARACTERS + 1), "unreadable", ORIGIN)
    dead_letter = msgspec.json.decode(text, type=DeadLetter)
    assert dead_letter.truncated
    assert len(dead_letter.document) == MAX_LETTER_CHARACTERS
