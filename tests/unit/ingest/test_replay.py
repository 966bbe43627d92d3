"""Real logs as sessions: each format on small files, and every kind of invalid file."""

import gzip
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contracts.errors import SourceFormatError, TerminalError
from include.contracts.session import MAX_VIEWS, Session
from include.contracts.settings import Settings
from include.ingest.labelled_record import LabelledRecord
from include.ingest.plan import Limits
from include.ingest.readers import lines as lines_module
from include.ingest.readers import visit as visit_module
from include.ingest.readers.lines import BadLineError, ReaderStats, split_csv_line
from include.ingest.replay import Replay, ReplayReport, check_format, replay
from tests.unit.ingest.reference_gate import recount

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
SETTINGS = Settings()
REES46 = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"
RETAIL = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes lines to a file and returns its path."""

    def put(*lines: str, name: str = "log.csv") -> Path:
        path = tmp_path / name
        path.write_bytes("\n".join(lines).encode() + b"\n")
        return path

    return put


def read(path: Path, **options: Any) -> tuple[list[Session], list[LabelledRecord], ReplayReport]:
    """Return all sessions of a log; assert that they equal those of the reference gate and of the report."""
    source = replay(path, Limits.of(SETTINGS), now=NOW, **options)
    labelled_records = list(source)
    slow = recount(labelled_records, SETTINGS, NOW)
    assert [str(labelled.verdict) for labelled in labelled_records] == slow.verdicts
    expected = source.report.expected
    assert expected.verdicts == slow.counts
    assert expected.documents == slow.documents
    assert expected.unique_users == len({session.user_id for session in slow.admitted})
    sessions = [msgspec.json.decode(labelled.value, type=Session) for labelled in labelled_records]
    return sessions, labelled_records, source.report


def event(time: str, kind: str = "view", **cells_: str) -> str:
    values = {"product": "10", "code": "sofa", "price": "9.99", "user": "u1", "session": "a", **cells_}
    return (
        f"2019-10-01 {time} UTC,{kind},{values['product']},77,{values['code']},acme,"
        f"{values['price']},{values['user']},{values['session']}"
    )


def item(invoice: str = "536365", at: str = "2010-12-01 08:26:00", **cells_: str) -> str:
    values = {"code": "85123A", "name": "LAMP", "quantity": "6", "price": "2.55", "customer": "17850", **cells_}
    return (
        f"{invoice},{values['code']},{values['name']},{values['quantity']},{at},"
        f"{values['price']},{values['customer']},France"
    )


def test_rees46_events_become_a_session(write: Write) -> None:
    sessions, labelled_records, report = read(
        write(
            REES46,
            event("00:00:00"),
            event("00:01:30", "cart", product="11"),
            event("00:02:00", product="12", code="", price=""),
            event("00:02:05.5", "purchase", product="11", price="20.10"),
            event("00:03:00", "purchase", product="10", price="9.99"),
        )
    )
    (session,) = sessions
    assert session.user_id == "u1"
    assert labelled_records[0].key == b"u1"
    assert session.started_at == datetime(2019, 10, 1, tzinfo=UTC)
    assert session.duration_s == 180
    assert [(view.product_id, view.category, view.price) for view in session.views] == [
        ("10", "sofa", 9.99),
        ("12", None, None),
    ]
    assert (session.page_views, session.clicks, session.ip) == (2, None, None)
    assert (session.device.type, session.referrer, session.exit_page) == ("not_collected", "not_collected", None)
    assert (session.last_action, session.purchase.made, session.purchase.amount) == ("checkout", True, 30.09)
    assert (report.format, report.lines, report.amount) == ("rees46", 5, Decimal("30.09"))


def test_rees46_visits_end_after_half_an_hour_of_silence(write: Write) -> None:
    path = write(
        REES46,
        event("00:00:00"),
        event("00:10:00", user="u2", session="b"),
        event("00:29:59"),
        event("01:00:00"),
        event("02:00:00", user="u2", session="b"),
        event("02:10:00", user="u2", session=""),
        event("02:45:00", user="u2", session=""),
    )
    sessions, _, report = read(path)
    starts = [(session.user_id, session.started_at.strftime("%H:%M"), len(session.views)) for session in sessions]
    assert sorted(starts) == [
        ("u1", "00:00", 2),
        ("u1", "01:00", 1),
        ("u2", "00:10", 1),
        ("u2", "02:00", 1),
        ("u2", "02:10", 1),
        ("u2", "02:45", 1),
    ]
    assert len({session.session_id for session in sessions}) == report.sessions == 6
    again, *_ = read(path)
    assert again == sessions


def test_rees46_log_in_descending_order_gives_the_same_visits(write: Write) -> None:
    rows = [event("00:00:00"), event("00:20:00"), event("00:30:00", user="u2"), event("01:30:00")]
    rising, *_ = read(write(REES46, *rows))
    falling, *_ = read(write(REES46, *reversed(rows)))
    assert {(s.session_id, s.started_at, len(s.views)) for s in rising} == {
        (s.session_id, s.started_at, len(s.views)) for s in falling
    }


def test_rees46_open_visits_are_bounded(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visit_module, "MAX_OPEN_VISITS", 3)
    sessions, _, report = read(write(REES46, *(event("00:00:00", user=f"u{number}") for number in range(10))))
    assert len(sessions) == 10
    assert report.counts["closed_early"] == 6


def test_rees46_visit_with_too_many_views_is_split(write: Write) -> None:
    sessions, _, report = read(write(REES46, *(event("00:00:00") for _ in range(MAX_VIEWS + 5))))
    assert [len(session.views) for session in sessions] == [MAX_VIEWS, 5]
    assert report.counts == {"split": 1}


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (event("00:00:00", "wishlist"), "event_type"),
        (event("25:00:00"), "event_time"),
        (event("00:00:00", price="NaN"), "price"),
        (event("00:00:00", price="1e10"), "price"),
        (event("00:00:00", price="cheap"), "price"),
        (event("00:00:00", user=""), "no user_id"),
        (event("00:00:00", user="u" * 65), "user_id"),
        (event("00:00:00", code="so\x07fa"), "category_code"),
        (event("00:00:00") + ",more", "10 cells"),
        ("2019", "1 cells"),
        (event("00:00:00", code='"sofa'), "not CSV"),
    ],
)
def test_rees46_bad_lines_are_counted_by_number(write: Write, line: str, word: str) -> None:
    sessions, _, report = read(write(REES46, event("00:00:00"), line, event("00:00:09")))
    assert len(sessions[0].views) == 2
    assert (report.lines, report.bad_lines, report.first_bad_lines[0].line) == (3, 1, 3)
    assert word in report.first_bad_lines[0].reason


def test_otto_lines_become_sessions(write: Write) -> None:
    first = {
        "session": 42,
        "events": [
            {"aid": 7, "ts": 1_661_724_000_278, "type": "clicks"},
            {"aid": 9, "ts": 1_661_724_060_000, "type": "clicks"},
            {"aid": 9, "ts": 1_661_734_061_000, "type": "orders"},
        ],
    }
    sessions, labelled_records, report = read(
        write(json.dumps(first), json.dumps({**first, "session": 43}), name="otto.jsonl")
    )
    session = sessions[0]
    assert (session.session_id, session.user_id, labelled_records[0].key) == ("otto-42", "otto-42", b"otto-42")
    assert session.started_at == datetime(2022, 8, 28, 22, 0, 0, 278_000, tzinfo=UTC)
    assert session.duration_s == 10_060
    assert [view.product_id for view in session.views] == ["7", "9"]
    assert (session.last_action, session.purchase.made, session.purchase.amount) == ("checkout", True, 0.0)
    assert (report.format, report.lines, report.sessions) == ("otto", 2, 2)


def test_otto_overlong_line_is_split_at_pauses(write: Write) -> None:
    day = 86_400_000
    events: list[dict[str, Any]] = [
        {"aid": 1, "ts": location * day + shift, "type": "clicks"} for location in range(9) for shift in (0, 60_000)
    ]
    start = 1_661_724_000_000
    moved = [{**one, "ts": one["ts"] + start} for one in events]
    sessions, _, report = read(write(json.dumps({"session": 1, "events": moved}), name="otto.jsonl"))
    assert [session.session_id for session in sessions] == [f"otto-1-{location}" for location in range(9)]
    assert report.counts == {"split": 8}
    many = [{"aid": 1, "ts": start, "type": "clicks"}] * (MAX_VIEWS + 1)
    sessions, *_ = read(write(json.dumps({"session": 1, "events": many}), name="otto.jsonl"))
    assert [len(session.views) for session in sessions] == [MAX_VIEWS, 1]


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"session": 1}',
        '{"session": 1, "events": []}',
        '{"session": -1, "events": [{"aid": 1, "ts": 1, "type": "clicks"}]}',
        '{"session": 1, "events": [{"aid": 1, "ts": 1, "type": "likes"}]}',
        '{"session": 1, "events": [{"aid": 1, "ts": 1e300, "type": "clicks"}]}',
        '{"session": 1, "events": [{"aid": 1, "ts": 99999999999999, "type": "clicks"}]}',
        '{"session": 1, "events": [{"aid": 1, "ts": NaN, "type": "clicks"}]}',
    ],
)
def test_otto_bad_lines_are_counted_by_number(write: Write, line: str) -> None:
    good = '{"session": 5, "events": [{"aid": 1, "ts": 1661724000000, "type": "clicks"}]}'
    sessions, _, report = read(write(good, line, name="otto.jsonl"))
    assert [session.session_id for session in sessions] == ["otto-5"]
    assert (report.bad_lines, report.first_bad_lines[0].line) == (1, 2)


def test_online_retail_invoices_become_sessions(write: Write) -> None:
    sessions, labelled_records, report = read(
        write(
            RETAIL,
            item(),
            item(name="", quantity="2", price="0.001"),
            item("C536379", quantity="-1"),
            item("536380", "2010-12-01 09:00:00", customer=""),
            item("A563185", "2010-12-01 09:01:00", quantity="1", price="-11062.06", customer=""),
            item("536381", "2010-12-01 09:02:00", quantity="-9", price="0", customer=""),
        )
    )
    assert [session.session_id for session in sessions] == ["or-536365", "or-536380", "or-A563185", "or-536381"]
    first = sessions[0]
    assert (first.user_id, labelled_records[0].key) == ("or-17850", b"or-17850")
    assert (first.duration_s, first.page_views, first.clicks) == (0, None, None)
    assert [(view.product_id, view.name, view.price) for view in first.views] == [
        ("85123A", "LAMP", 2.55),
        ("85123A", None, 0.001),
    ]
    assert (first.location.country, first.last_action) == ("France", "checkout")
    assert first.purchase.amount == 15.302
    assert [session.purchase.made for session in sessions] == [True, True, True, False]
    assert [session.user_id for session in sessions[1:]] == [
        f"or-anonymous-{invoice}" for invoice in ("536380", "A563185", "536381")
    ]
    assert report.counts == {"cancelled": 1}
    assert report.amount == report.expected.revenue == Decimal("15.302") + Decimal("15.30") - Decimal("11062.06")
    assert (report.lines, report.sessions) == (6, 4)


def test_online_retail_lines_of_two_invoices_may_alternate(write: Write) -> None:
    rows = [item("1"), item("2"), item("1", "2010-12-01 08:27:00"), item("3", "2010-12-01 10:00:00"), item("2")]
    sessions, _, report = read(write(RETAIL, *rows[:4]))
    assert {session.session_id: len(session.views) for session in sessions} == {"or-1": 2, "or-2": 1, "or-3": 1}
    _, labelled_records, report = read(write(RETAIL, *rows))
    assert [(labelled.session_id, str(labelled.verdict)) for labelled in labelled_records][-1] == ("or-2", "duplicate")
    assert report.amount == Decimal("15.30") * 5
    assert report.expected.revenue == Decimal("15.30") * 4


def test_online_retail_accepts_both_date_formats_and_any_column_order(write: Write) -> None:
    sessions, *_ = read(write("Country,CustomerID,UnitPrice,InvoiceDate,Quantity,Description,StockCode,InvoiceNo",
                              'France,1,2.5,12/1/2010 8:26,2,"LAMP, ""OLD""",X,9'))  # fmt: skip
    assert sessions[0].started_at == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    assert sessions[0].views[0].name == 'LAMP, "OLD"'


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (item(quantity="1.5"), "Quantity"),
        (item(quantity="9" * 5_000), "Quantity"),
        (item(quantity="999999999", price="999999999"), "total of 1e9"),
        (item(price="free"), "UnitPrice"),
        (item(price="Infinity"), "UnitPrice"),
        (item(at="soon"), "InvoiceDate"),
        (item(code=""), "StockCode"),
        (item(name="N" * 201), "Description"),
        (item(invoice=""), "InvoiceNo"),
        (item(invoice="1" * 51), "InvoiceNo"),
    ],
)
def test_online_retail_bad_lines_are_counted_by_number(write: Write, line: str, word: str) -> None:
    sessions, _, report = read(write(RETAIL, line, item()))
    assert len(sessions) == 1
    assert (report.bad_lines, report.first_bad_lines[0].line) == (1, 2)
    assert word in report.first_bad_lines[0].reason


def test_amount_beyond_the_contract_stops_at_the_last_valid_line(write: Write) -> None:
    huge = item(quantity="1", price="900000000")
    sessions, _, report = read(write(RETAIL, huge, huge))
    assert sessions[0].purchase.amount == 9e8
    assert report.bad_lines == 1
    bought = event("00:00:00", "purchase", price="900000000")
    sessions, _, report = read(write(REES46, bought, bought))
    assert (sessions[0].purchase.amount, report.bad_lines) == (9e8, 1)


def test_replay_predicts_clock_and_rate_rejections(write: Write) -> None:
    old, new = item("1", "1990-01-01 00:00:00"), item("2", "2030-01-01 00:00:00")
    crowd = [item(str(number), "2011-01-01 00:00:00") for number in range(100, 125)]
    *_, report = read(write(RETAIL, old, *crowd, new))
    assert report.expected.verdicts == {"future_clock": 1, "past_clock": 1, "rate_user": 5, "valid": 20}
    assert report.first_started_at == datetime(1990, 1, 1, tzinfo=UTC)
    assert report.last_started_at == datetime(2030, 1, 1, tzinfo=UTC)


def test_replay_predicts_too_long_rejection(write: Write) -> None:
    rows = [item(name="N" * 200, code="8" * 64) for _ in range(MAX_VIEWS)]
    *_, report = read(write(RETAIL, *rows))
    assert report.expected.verdicts == {"too_long": 1}
    assert report.longest_value_bytes > SETTINGS.gate.max_record_bytes


def test_replay_with_limit_stops_early(write: Write) -> None:
    path = write(RETAIL, *(item(str(number), f"2011-01-{number:02d} 00:00:00") for number in range(1, 21)))
    sessions, _, report = read(path, limit=3)
    assert len(sessions) == report.sessions == 3


def test_gzip_windows_line_ends_blank_lines_and_a_byte_order_mark_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "log.data"
    path.write_bytes(gzip.compress(("\ufeff" + "\r\n".join([RETAIL, item(), "", item("2"), ""])).encode()))
    sessions, _, report = read(path)
    assert len(sessions) == 2
    assert report.lines == 2


def test_undecodable_and_overlong_lines_are_bad_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "MAX_LINE_BYTES", 1_000)
    path = tmp_path / "log.csv"
    path.write_bytes(b"\n".join([RETAIL.encode(), b"\xff\xfe", b"x" * 5_000, item().encode()]))
    sessions, _, report = read(path)
    assert len(sessions) == 1
    assert [(bad.line, bad.reason[:14]) for bad in report.first_bad_lines] == [
        (2, "is not UTF-8"),
        (3, "is longer than"),
    ]


def test_replay_reports_first_bad_lines_and_counts_all(write: Write) -> None:
    *_, report = read(write(RETAIL, *(["broken"] * 50), item()))
    assert (report.bad_lines, len(report.first_bad_lines), report.lines) == (50, 20, 51)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "no file"),
        (b"", "is empty"),
        (gzip.compress(b""), "is empty"),
        (b"a,b,c\n1,2,3\n", "not in a supported format"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not in a supported format"),
        (b"PK\x03\x04\xff\xfe", "not in a supported format"),
        (b'"event_time\n', "not in a supported format"),
    ],
)
def test_replay_invalid_file_raises_in_one_line(tmp_path: Path, content: bytes | None, word: str) -> None:
    path = tmp_path / "log.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceFormatError, match=word) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_replay_folder_raises(tmp_path: Path) -> None:
    with pytest.raises(SourceFormatError, match="cannot be read"):
        read(tmp_path)


def test_replay_format_mismatch_raises(write: Write) -> None:
    with pytest.raises(SourceFormatError, match="not of format rees46"):
        read(write(RETAIL, item()), format="rees46")
    with pytest.raises(SourceFormatError, match="unknown format"):
        read(write(RETAIL, item()), format="parquet")


@pytest.mark.parametrize("damage", [lambda data: data[:-30], lambda data: data[:-40] + b"\x00" * 40])
def test_truncated_gzip_is_read_up_to_a_line(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    rows = [item(str(number), f"2011-01-01 {number % 24:02d}:00:{number % 60:02d}") for number in range(3_000)]
    path = tmp_path / "log.csv.gz"
    path.write_bytes(damage(gzip.compress("\n".join([RETAIL, *rows]).encode())))
    with pytest.raises(SourceFormatError, match=r"broken gzip file, readable up to line [1-9]"):
        list(replay(path, Limits.of(SETTINGS), now=NOW))


def test_replay_report_before_end_raises(write: Write) -> None:
    source: Replay = replay(write(RETAIL, item()), Limits.of(SETTINGS), now=NOW)
    with pytest.raises(TerminalError, match="not complete"):
        _ = source.report


@given(st.lists(st.tuples(st.integers(0, 7_200), st.integers(0, 3)), min_size=1, max_size=60))
def test_open_visits_split_at_half_an_hour(events: list[tuple[int, int]]) -> None:
    """Compare with a naive reader: sort each user's times, split at pauses of more than 1,800 s."""
    notes = ReaderStats()
    visits = visit_module.OpenVisits(notes)
    base = datetime(2019, 10, 1, tzinfo=UTC)
    results: list[tuple[object, int, int]] = []
    for second, user in sorted(events):
        at = base + timedelta(seconds=second)
        results += [
            (key, over.duration_s, int((over.first - base).total_seconds())) for key, over in visits.pop_expired(at)
        ]
        visit = visits.get(user)
        (visit or visits.add(user, visit_module.OpenVisit(str(user), at))).extend(at)
    results += [(key, over.duration_s, int((over.first - base).total_seconds())) for key, over in visits.pop_all()]
    expected = []
    for user in {user for _, user in events}:
        times = sorted(second for second, who in events if who == user)
        cuts = [0, *(n for n in range(1, len(times)) if times[n] - times[n - 1] > 1_800), len(times)]
        expected += [(user, times[end - 1] - times[start], times[start]) for start, end in pairwise(cuts)]
    assert sorted(map(str, results)) == sorted(map(str, expected))


@given(st.text(max_size=60))
def test_split_csv_line_returns_cells_or_raises_bad_line(text: str) -> None:
    with suppress(BadLineError):
        assert isinstance(split_csv_line(text), list)


@pytest.mark.parametrize(
    ("content", "format", "cause"),
    [
        (None, "auto", "no file at"),
        (b"", "auto", "is empty"),
        (b"\n\r\n\n", "auto", "has no line with text"),
        (b"a,b\n", "auto", "is not in a supported format"),
        (b"a,b\n", "otto", "is not of format otto"),
        (b"a,b\n", "csv", "unknown format 'csv'"),
        (b"\x1f\x8bbroken", "auto", "is a broken gzip file|cannot be read"),
    ],
)
def test_check_format_of_what_is_no_log_names_the_cause(
    tmp_path: Path, content: bytes | None, format: str, cause: str
) -> None:
    path = tmp_path / "log"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceFormatError, match=cause):
        check_format(path, format)


def test_check_format_of_a_folder_fails_and_of_a_log_returns_its_format(tmp_path: Path) -> None:
    with pytest.raises(SourceFormatError, match="is not a regular file"):
        check_format(tmp_path)
    path = tmp_path / "otto.jsonl"
    path.write_text('{"session": 1, "events": [{"aid": 1, "ts": 1661724000278, "type": "clicks"}]}\n')
    assert check_format(path) == "otto"
