"""Archive loads on real servers: each session once despite crashes, repeats and undecodable records."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, timedelta
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from pymongo.database import Database

from include.archive import consume as loading
from include.archive import documents, queries, watermark
from include.archive.consume import LoadReport, load
from include.archive.lag import partition_lag
from include.archive.source import Source, describe
from include.archive.store import connect, database
from include.archive.write import Written, write
from include.clients.mongodb import Document
from include.contracts.collections import EXPIRED_OFFSETS, SESSIONS, UNDECODABLE, WATERMARKS
from include.contracts.errors import TerminalError, TransientError
from include.contracts.session import ValidSession
from include.contracts.settings import Settings
from include.contracts.topics import VALID
from local.project import ROOT
from local.stack import ARCHIVE, Stack
from tests.polling import eventually
from tests.valid_sessions import STARTED, valid_session
from tests.valid_topic import put, sessions

# SIGKILL after the documents are written and before their watermark is.
KILLED_BEFORE_WATERMARK = """
import itertools, os, signal
from include.archive import consume as loading, store, watermark
from include.contracts.settings import Settings

settings = Settings.from_env(os.environ)
calls, advance = itertools.count(), watermark.advance

def advance_or_kill(*arguments):
    if next(calls) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    advance(*arguments)

watermark.advance = advance_or_kill
with store.connect(settings.mongodb) as client:
    loading.load(settings, store.database(client, settings.mongodb))
"""


def assert_archived(archive: Database[Document], expected: list[ValidSession]) -> None:
    """Assert that the archive has exactly these sessions, unchanged."""
    results = {entry["_id"]: documents.session(entry) for entry in archive[SESSIONS].find({})}
    assert results == {session.document_id: session for session in expected}
    assert queries.count(archive) == len(expected)


def total_offset(archive: Database[Document]) -> int:
    return sum(mark.offset for mark in queries.watermarks(archive))


def test_load_archives_only_committed_sessions_once(own: Settings, archive: Database[Document]) -> None:
    expected = sessions(230)
    put(own, expected[:120])
    put(own, sessions(30), commit=False)
    put(own, expected[120:])

    report = load(own, archive)

    assert (report.sessions, report.undecodable, report.gaps, report.behind) == (230, 0, 0, 0)
    assert (report.partitions, report.batches >= 5) == (2, True)
    assert_archived(archive, expected)
    second = load(own, archive)
    assert (second.sessions, second.batches, second.behind) == (0, 0, 0)


def test_load_stores_times_as_aware_dates(own: Settings, archive: Database[Document]) -> None:
    put(own, [session := valid_session(session_id="s-times")])

    load(own, archive)

    result = archive[SESSIONS].find_one({"_id": session.document_id})
    assert result is not None
    assert (result["started_at"], result["started_at"].tzinfo) == (STARTED, UTC)
    assert archive[SESSIONS].count_documents({"received_at": {"$type": "date"}}) == 1
    assert result["session_id"] == "s-times"


def test_load_same_session_id_of_two_users_stores_both(own: Settings, archive: Database[Document]) -> None:
    put(own, [valid_session(session_id="s-shared", user_id=user) for user in ("a", "b")])

    assert load(own, archive).sessions == 2

    assert queries.count(archive) == 2
    result = archive[SESSIONS].find({"session_id": "s-shared"})
    assert sorted(entry["_id"] for entry in result) == ["a:s-shared", "b:s-shared"]


def test_count_is_by_arrival_time(own: Settings, archive: Database[Document]) -> None:
    hour = STARTED.replace(minute=0, second=0, microsecond=0)
    arrivals = [hour - timedelta(milliseconds=1), hour, hour + timedelta(minutes=59), hour + timedelta(hours=1)]
    run = sessions(len(arrivals))
    put(own, [valid_session(session_id=s.session_id, received_at=at) for s, at in zip(run, arrivals, strict=True)])
    load(own, archive)

    assert queries.count(archive, hour, hour + timedelta(hours=1)) == 2
    assert (queries.count(archive, start=hour), queries.count(archive, end=hour)) == (3, 1)


def test_load_past_deadline_is_continued_by_the_next_load(own: Settings, archive: Database[Document]) -> None:
    expected = sessions(200)
    put(own, expected)

    late = load(own, archive, deadline_s=0.0)
    rest = load(own, archive)

    assert late.sessions == 0
    assert late.behind >= 200
    assert (rest.sessions, rest.behind) == (200, 0)
    assert_archived(archive, expected)


def test_load_while_sessions_arrive_continues_until_caught_up(
    own: Settings, archive: Database[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = sessions(100)
    put(own, expected[:60])
    # The first pass is slow; sessions that arrive during it are read by the second pass.
    arrived = threading.Event()

    def write_slowly(store: Database[Document], records: Any) -> Written:
        if not arrived.is_set():
            arrived.set()
            put(own, expected[60:])
        return write(store, records)

    monkeypatch.setattr(loading, "write", write_slowly)
    monkeypatch.setattr(loading, "CATCH_UP_THRESHOLD_S", 0.0)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(load, own, archive)
        eventually(lambda: queries.count(archive) == len(expected))
        monkeypatch.setattr(loading, "CATCH_UP_THRESHOLD_S", 60.0)
        report = running.result(timeout=30)

    assert (report.sessions, report.behind) == (100, 0)
    assert partition_lag(own) == {0: 0, 1: 0}
    assert_archived(archive, expected)


def test_load_failed_write_does_not_advance_the_watermark(
    own: Settings, archive: Database[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = sessions(300)
    put(own, expected)

    def reject_partition_0(store: Database[Document], records: list[Any]) -> Written:
        if any(record.partition == 0 for record in records):
            raise TransientError("write sessions failed: injected", "run it again")
        return write(store, records)

    before = {mark.topic_partition: mark.offset for mark in queries.watermarks(archive)}
    monkeypatch.setattr(loading, "write", reject_partition_0)
    with pytest.raises(TransientError, match="injected"):
        load(own, archive)
    monkeypatch.undo()

    after = {mark.topic_partition: mark.offset for mark in queries.watermarks(archive)}
    assert after[f"{VALID}:0"] == before[f"{VALID}:0"]
    load(own, archive)
    assert_archived(archive, expected)


def test_load_undecodable_record_is_stored_with_bytes_and_reason(own: Settings, archive: Database[Document]) -> None:
    bad = [b"{", b"\xff\xfe", None, b'{"v": 2}', b"[" * 100_000]
    expected = sessions(4)
    put(own, [*expected[:2], *bad, *expected[2:]])

    report = load(own, archive)

    assert (report.sessions, report.undecodable) == (4, len(bad))
    assert_archived(archive, expected)
    retained = list(archive[UNDECODABLE].find({}))
    assert {entry["value"] for entry in retained} == set(bad)
    assert all(entry["reason"] for entry in retained)
    assert queries.undecodable(archive) == len(bad)


def test_load_concurrent_loads_archive_each_session_once(own: Settings, archive: Database[Document]) -> None:
    expected = sessions(1_500)
    put(own, expected)
    start = threading.Barrier(2)

    def load_concurrently() -> LoadReport:
        with connect(own.mongodb) as client:
            start.wait()
            return load(own, database(client, own.mongodb))

    with ThreadPoolExecutor(2) as pool:
        reports = [done.result() for done in [pool.submit(load_concurrently) for _ in range(2)]]

    assert [report.behind for report in reports] == [0, 0]
    assert_archived(archive, expected)


def test_load_killed_before_the_watermark_is_exact(own: Settings, archive: Database[Document]) -> None:
    expected = sessions(600)
    put(own, expected)
    before = total_offset(archive)

    done = subprocess.run([sys.executable, "-c", KILLED_BEFORE_WATERMARK], cwd=ROOT, env=own.to_env(), check=False)

    assert done.returncode == -9
    written = queries.count(archive)
    assert 0 < total_offset(archive) - before < written < 600
    report = load(own, archive)
    assert written < 600 < written + report.sessions
    assert_archived(archive, expected)


def test_load_mongodb_killed_is_exact(archive_stack: Stack, own: Settings, archive: Database[Document]) -> None:
    expected = sessions(6_000)
    put(own, expected)
    before = total_offset(archive)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(load, own.replace(archive={"batch_size": 20}), archive)
        eventually(lambda: total_offset(archive) - before > 200, every_s=0.01)
        archive_stack.kill("mongodb")
        with pytest.raises(TransientError, match="MongoDB is unavailable") as raised:
            running.result(timeout=90)

    assert "./showroom status" in raised.value.remedy
    archive_stack.wait(ARCHIVE)
    existing = queries.count(archive)
    assert 200 <= total_offset(archive) - before <= existing < 6_000
    load(own, archive)
    assert_archived(archive, expected)


def test_load_without_mongodb_raises_transient_error_and_the_next_load_is_exact(
    archive_stack: Stack, own: Settings, archive: Database[Document]
) -> None:
    expected = sessions(50)
    put(own, expected)
    archive_stack.stop("mongodb")
    try:
        with pytest.raises(TransientError, match="MongoDB is unavailable"):
            load(own, archive)
    finally:
        archive_stack.start("mongodb")
        archive_stack.wait(ARCHIVE)

    assert load(own, archive).sessions == 50
    assert_archived(archive, expected)


def test_load_without_kafka_raises_transient_error(own: Settings, archive: Database[Document]) -> None:
    with pytest.raises(TransientError, match=r"Kafka at 127[.]0[.]0[.]1:9 is unavailable "):
        load(own.replace(kafka={"bootstrap_servers": "127.0.0.1:9"}), archive)


def test_load_recreated_topic_raises_terminal_error_until_reset(own: Settings, archive: Database[Document]) -> None:
    put(own, sessions(3))
    archive[WATERMARKS].update_many({}, {"$set": {"topic_id": "another"}})
    with pytest.raises(TerminalError, match="of an earlier topic") as raised:
        load(own, archive)
    assert "reset-offsets" in raised.value.remedy

    topic = describe(own.kafka, VALID)
    archive[WATERMARKS].update_many({}, {"$set": {"topic_id": topic.topic_id}, "$inc": {"offset": 1_000_000}})
    with pytest.raises(TerminalError, match="lies behind the end"):
        load(own, archive)
    assert queries.count(archive) == 0

    assert watermark.reset_offsets(archive, VALID, dry_run=True) == own.kafka.partitions
    assert watermark.reset_offsets(archive, VALID) == own.kafka.partitions
    assert load(own, archive).sessions >= 3


def test_load_records_and_reports_expired_offsets(own: Settings, archive: Database[Document]) -> None:
    marks = {mark.topic_partition: mark.offset for mark in queries.watermarks(archive)}
    put(own, sessions(20))
    expected = sessions(6)
    with Source(own, VALID, range(own.kafka.partitions)) as source:
        cut = source.ends()[0]
    put(own, expected)
    expire(own, 0, cut)
    messages: list[str] = []

    report = load(own, archive, on_progress=messages.append)

    lost = cut - marks[f"{VALID}:0"]
    assert (report.gaps, queries.expired(archive)) == (lost, lost)
    assert messages == [f"{VALID}:0 offsets {cut - lost} to {cut - 1} expired before they were archived"]
    assert [(entry["_id"], entry["until"]) for entry in archive[EXPIRED_OFFSETS].find({})] == [
        (f"{VALID}:0:{cut - lost}", cut)
    ]
    assert report.sessions == 10 + len(expected)
    assert load(own, archive).gaps == 0


def expire(settings: Settings, partition: int, before: int) -> None:
    """Delete the records before an offset, as the broker does after the retention."""
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers)
    try:
        admin.delete_records({TopicPartition(VALID, partition): before}, timeout_ms=30_000)
    finally:
        admin.close()
