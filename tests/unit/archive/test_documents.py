"""Conversion of sessions to archive documents and back; invalid records."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.archive import documents
from tests.valid_sessions import STARTED, encoded, valid_session, viewed


# The first draw of a time loads the calendar, which takes seconds on a busy machine.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    seconds=st.integers(0, 604_800),
    review=st.none() | st.text(max_size=50),
    views=st.integers(0, 3),
    started=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),
)
def test_session_of_a_document_equals_the_original(
    seconds: int, review: str | None, views: int, started: datetime
) -> None:
    session = valid_session(
        started_at=started.replace(tzinfo=UTC), duration_s=seconds, views=[viewed(review=review)] * views
    )
    assert documents.session(documents.document(documents.decode(encoded(session)))) == session


def test_document_has_an_id_of_user_and_session_and_datetimes() -> None:
    result = documents.document(valid_session(user_id="u", session_id="s-1"))
    assert (result["_id"], result["user_id"], result["session_id"]) == ("u:s-1", "u", "s-1")
    assert result["started_at"] == STARTED
    assert isinstance(result["ended_at"], datetime)
    assert isinstance(result["received_at"], datetime)


def test_document_converts_times_to_utc() -> None:
    started = datetime(2026, 11, 23, 10, 15, tzinfo=timezone(timedelta(hours=2)))
    result = documents.document(documents.decode(encoded(valid_session(started_at=started))))
    assert result["started_at"] == datetime(2026, 11, 23, 8, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"null",
        b"[" * 100_000,
        b"\xff",
        b'{"v": 2}',
        encoded(valid_session())[:-1] + b',"more":1}',
        encoded(valid_session()).replace(b"2026-11-23T", b"2026-13-23T"),
    ],
)
def test_decode_invalid_record_raises_value_error(value: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        documents.decode(value)


def test_session_of_an_invalid_document_raises_validation_error() -> None:
    with pytest.raises(msgspec.ValidationError):
        documents.session({"_id": "u:s-1", "v": 1})
