"""Reconciliation on real servers: one lost session is detected in every store, and nothing else fires an alert."""

import logging
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from elasticsearch import Elasticsearch
from kafka import KafkaProducer

from include.archive import store
from include.clients.elasticsearch import connect
from include.contracts import topics
from include.contracts.settings import KafkaSettings, LocalSettings, Settings
from include.serving.templates import ensure_templates
from include.supervise.due_hours import floor
from include.supervise.reconcile import HOUR
from local.stack import ARCHIVE, Stack
from tests.integration.supervision.conftest import commit_to_end
from tests.integration.supervision.synthetic_hours import ShopHour, let_raw_records_be_old
from tests.locking import turn
from tests.valid_sessions import valid_session

OFFSET = 1_600
BEFORE = count()


@pytest.fixture(scope="module")
def settings_of_stores() -> Iterator[Settings]:
    """Kafka, Elasticsearch and MongoDB for these tests only, because their raw records may be old."""
    settings = Settings(
        local=LocalSettings(state_dir=Path(".showroom/test-reconcile"), port_offset=OFFSET),
        kafka=KafkaSettings(partitions=2),
    )
    stack = Stack(settings)
    with turn(settings):
        stack.purge()
        try:
            stack.up(("kafka", "elasticsearch", *ARCHIVE))
            let_raw_records_be_old(settings)
            yield settings
        finally:
            stack.down()


@pytest.fixture(scope="module")
def client(settings_of_stores: Settings) -> Iterator[Elasticsearch]:
    with connect(settings_of_stores.elasticsearch) as opened:
        ensure_templates(opened, settings_of_stores.elasticsearch)
        yield opened


@pytest.fixture(scope="module")
def producer(settings_of_stores: Settings) -> Iterator[KafkaProducer]:
    with KafkaProducer(bootstrap_servers=settings_of_stores.kafka.bootstrap_servers) as opened:
        yield opened


@pytest.fixture
def new_hour(
    settings_of_stores: Settings, producer: KafkaProducer, client: Elasticsearch
) -> Iterator[Callable[[], ShopHour]]:
    """Creates hours of the last days, after those of earlier tests, with a database of this test."""
    own = settings_of_stores.replace(mongodb={"database": f"test-{uuid.uuid4().hex[:12]}"})
    with store.connect(own.mongodb) as mongo:
        database = store.database(mongo, own.mongodb)

        def make() -> ShopHour:
            start = floor(datetime.now(UTC)) + (2 * next(BEFORE) - 60) * HOUR
            return ShopHour(own, producer, client, database, start)

        yield make
        mongo.drop_database(own.mongodb.database)


@pytest.fixture
def hour(new_hour: Callable[[], ShopHour]) -> ShopHour:
    return new_hour()


def texts(entry: dict[str, Any]) -> dict[str, str]:
    """Return the lines that differ, by store."""
    return {line["what"]: line["text"] for line in entry["lines"] if line["mismatched"]}


@pytest.mark.parametrize("load", ["full", "idle"])
def test_run_with_one_lost_session_in_every_store_names_each(
    hour: ShopHour, load: str, caplog: pytest.LogCaptureFixture
) -> None:
    sessions = hour.sessions(60)
    hour.gate(sessions, rejected=4)
    hour.index(sessions)
    hour.archive(sessions[:-1])
    for location, alias in enumerate(("session_summary", "product_details", "product_sentiment")):
        hour.lose(alias, sessions[location])
    hour.pass_all()
    if load == "full":
        hour.traffic()

    with caplog.at_level(logging.ERROR):
        (entry,) = hour.run()

    assert (entry["state"], entry["owner"]) == ("difference", "stream")
    assert texts(entry) == {
        "session_summary": "session_summary 59 of 60 expected, 1 missing",
        "product_details": "product_details 179 of 180 expected, 1 missing",
        "product_sentiment": "product_sentiment 59 of 60 expected, 1 missing",
        "in MongoDB": "in MongoDB 59 of 60 expected, 1 missing",
    }
    assert entry["missing"] == {
        "session_summary": [sessions[0].session_id],
        "product_details": [sessions[1].session_id],
        "product_sentiment": [sessions[2].session_id],
        "in MongoDB": [sessions[-1].session_id],
    }
    # After the repair, the next run closes the same hour.
    hour.index(sessions)
    hour.archive(sessions[-1:])
    assert [result["state"] for result in hour.run()] == ["balanced"]
    assert hour.run() == []


def test_run_with_a_session_missing_from_the_minutes_names_the_day(hour: ShopHour) -> None:
    sessions = hour.sessions(12)
    hour.gate(sessions)
    hour.index(sessions)
    hour.archive(sessions)
    hour.count_minutes(sessions[:-1])
    hour.pass_all()
    midnight = hour.start.replace(hour=0)
    for number in range(24):
        if midnight + number * HOUR != hour.start:
            hour.close(midnight + number * HOUR)
    hour.traffic()

    result, day = hour.run(midnight + timedelta(days=1, minutes=20) - hour.start)

    assert (result["state"], day["state"], day["owner"]) == ("balanced", "difference", "stream")
    assert texts(day) == {"kpi_minute": "kpi_minute 11 of 12 expected, 1 missing"}
    hour.count_minutes(sessions)
    assert [entry["state"] for entry in hour.run(midnight + timedelta(days=1, minutes=20) - hour.start)] == ["balanced"]


def test_run_while_the_stages_catch_up_is_pending_and_closes_later(hour: ShopHour) -> None:
    sessions = hour.sessions(20)
    hour.gate(sessions)
    # Sessions alternate between the two partitions; these are the last two of partition 0.
    late = [sessions[16], sessions[18]]
    stored = [session for session in sessions if session not in late]
    hour.index(stored)
    hour.archive(stored)
    commit_to_end(hour.settings, topics.GATE_GROUP, topics.RAW, short=1)
    (undecided,) = hour.run()
    assert (undecided["state"], undecided["lines"][0]["text"]) == (
        "pending",
        "decided 19 of 20 expected, at most 1 in flight",
    )
    # In flight: the last two records of partition 0 and their transaction marker.
    hour.pass_all(short=3)
    commit_to_end(hour.settings, topics.GATE_GROUP, topics.RAW)

    (pending,) = hour.run()

    assert (pending["state"], texts(pending)) == ("pending", {})
    hour.index(late)
    hour.archive(late)
    hour.pass_all()
    (closed,) = hour.run(timedelta(hours=2, minutes=20))[:1]
    assert (closed["hour"], closed["state"]) == (hour.start.isoformat(), "balanced")


def test_run_with_pending_hour_reports_a_loss_later(hour: ShopHour) -> None:
    sessions = hour.sessions(20)
    hour.gate(sessions)
    hour.index(sessions[:-1])
    hour.archive(sessions)
    hour.pass_all(short=2)
    assert [entry["state"] for entry in hour.run()] == ["pending"]
    hour.pass_all()
    hour.traffic()

    (entry,) = hour.run()

    assert (entry["state"], entry["missing"]["session_summary"]) == ("difference", [sessions[-1].session_id])


def test_run_with_lag_of_one_partition_reports_loss_in_the_other(hour: ShopHour) -> None:
    # Earlier records leave partition 0 with more offsets in flight than the hour has sessions.
    hour.traffic()
    sessions = hour.sessions(20)
    hour.gate(sessions)
    hour.archive(sessions)
    hour.pass_all(short=30)
    commit_to_end(hour.settings, topics.GATE_GROUP, topics.RAW)

    # Partition 1 is passed; later sessions of the same ids replaced its ten sessions. Only partition 0 is pending.
    later = [msgspec.structs.replace(session, received_at=hour.start + HOUR) for session in sessions[1::2]]
    hour.index(later)
    (pending,) = hour.run()
    for session in sessions[1::2]:
        hour.lose("session_summary", session)
    (entry,) = hour.run()

    assert (pending["state"], texts(pending)) == ("pending", {})
    assert (entry["state"], entry["owner"]) == ("difference", "stream")
    assert texts(entry)["session_summary"] == "session_summary 0 of 20 expected, at most 10 in flight, 20 missing"


def test_run_after_an_outage_counts_every_missed_hour(new_hour: Callable[[], ShopHour]) -> None:
    first, second, third = new_hour(), new_hour(), new_hour()
    lost = second.sessions(6)[3]
    for each in (first, second, third):
        sessions = each.sessions(6)
        each.gate(sessions)
        each.index(sessions)
        each.archive(sessions)
    second.lose("session_summary", lost)
    third.pass_all()
    # Airflow was down since before the first hour: only the entry of the hour before exists.
    for each in (second, third):
        each.database.reconciliations.delete_one({"_id": (each.start - HOUR).isoformat()})

    entries = third.run()

    assert [entry["hour"] for entry in entries] == [(first.start + n * HOUR).isoformat() for n in range(5)]
    assert [entry["state"] for entry in entries] == ["balanced", "balanced", "difference", "balanced", "balanced"]
    assert entries[2]["missing"] == {"session_summary": [lost.session_id]}


def test_run_long_after_an_outage_records_expired_hours_once(hour: ShopHour, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(1, 73):
        hour.close(hour.start + number * HOUR)
    with caplog.at_level(logging.ERROR):
        hour.run(timedelta(days=3, hours=1))

    entry = hour.database.reconciliations.find_one({"_id": hour.start.isoformat()})
    assert entry is not None
    assert entry["state"] == "unverifiable"
    assert [line for line in caplog.messages if line.startswith("ALERT reconcile.unverifiable")]
    caplog.clear()
    hour.run(timedelta(days=3, hours=1))
    assert not [line for line in caplog.messages if "unverifiable" in line]


def test_run_after_a_replay_whose_months_retention_deleted_balances(hour: ShopHour) -> None:
    old = hour.sessions(9, started_at=datetime(2019, 2, 3, tzinfo=UTC))
    new = [
        valid_session(session_id=f"new-{n}", received_at=hour.start + timedelta(minutes=30), started_at=hour.start)
        for n in range(5)
    ]
    hour.gate([*old, *new])
    hour.index(new)
    hour.archive([*old, *new])
    hour.pass_all()

    (entry,) = hour.run()

    assert entry["state"] == "balanced", entry
    # Pending retention changes nothing either.
    hour.index(old)
    hour.database.reconciliations.delete_one({"_id": hour.start.isoformat()})
    assert [result["state"] for result in hour.run()] == ["balanced"]


def test_run_with_dead_letters_counts_only_those_that_are_not_indexed(hour: ShopHour) -> None:
    sessions = hour.sessions(10)
    hour.gate(sessions)
    hour.index(sessions)
    hour.archive(sessions)
    for dead in sessions[:2]:
        hour.bury(dead)
        hour.lose("session_summary", dead)
    hour.pass_all()
    (entry,) = hour.run()
    assert entry["state"] == "balanced"
    assert entry["lines"][1]["text"] == "session_summary 8 of 10 expected, 2 dead letters"

    # One session is restored, another is lost: the dead letter does not hide the loss.
    hour.index(sessions[:1])
    hour.lose("session_summary", sessions[5])
    hour.database.reconciliations.delete_one({"_id": hour.start.isoformat()})
    (entry,) = hour.run()
    assert (entry["state"], entry["missing"]) == ("difference", {"session_summary": [sessions[5].session_id]})


def test_run_with_one_session_id_of_two_users_counts_both(hour: ShopHour) -> None:
    (one,) = hour.sessions(1)
    (other,) = hour.sessions(1, user_id="0a1b" * 8)
    hour.gate([one, other])
    hour.index([one])
    hour.pass_all()

    (entry,) = hour.run()

    assert entry["lines"][1]["text"] == "session_summary 1 of 2 expected, 1 missing"
    assert entry["missing"]["in MongoDB"] == [one.session_id, other.session_id]


def test_run_with_a_record_that_the_gate_lost_names_the_gate(hour: ShopHour) -> None:
    sessions = hour.sessions(4)
    hour.gate(sessions, rejected=2)
    lost = hour.sessions(1, session_id="lost")
    hour.gate(lost)
    hour.index([*sessions, *lost])
    hour.archive([*sessions, *lost])
    at = int(hour.start.timestamp() * 1_000) + 900_000
    with KafkaProducer(bootstrap_servers=hour.settings.kafka.bootstrap_servers) as producer:
        producer.send(topics.RAW, b"x", partition=0, timestamp_ms=at).get(timeout=30)
    hour.pass_all()

    (entry,) = hour.run()

    assert (entry["owner"], texts(entry)) == ("gate", {"admitted": "admitted 5 of 6 expected, 1 missing"})


def test_run_whose_valid_sessions_are_deleted_keeps_the_counted_difference(hour: ShopHour) -> None:
    sessions = hour.sessions(8)
    hour.gate(sessions)
    hour.index(sessions)
    hour.archive(sessions)
    hour.lose("session_summary", sessions[0])
    hour.pass_all(short=2)
    commit_to_end(hour.settings, topics.GATE_GROUP, topics.RAW)
    assert [entry["state"] for entry in hour.run()] == ["pending"]
    hour.pass_all()
    hour.delete_valid()

    (entry,) = hour.run()

    assert (entry["state"], texts(entry)) == (
        "difference",
        {"session_summary": "session_summary 7 of 8 expected, 1 missing"},
    )
    # After the repair the counts alone close the hour.
    hour.index(sessions)
    assert [result["state"] for result in hour.run()] == ["balanced"]


def test_run_with_a_recreated_valid_topic_compares_the_counts(hour: ShopHour) -> None:
    sessions = hour.sessions(8)
    hour.gate(sessions)
    hour.index(sessions)
    hour.archive(sessions[:-1])
    hour.pass_all(short=2)
    commit_to_end(hour.settings, topics.GATE_GROUP, topics.RAW)
    assert [entry["state"] for entry in hour.run()] == ["pending"]
    hour.recreate_valid()

    (entry,) = hour.run()

    assert (entry["state"], texts(entry)) == ("difference", {"in MongoDB": "in MongoDB 7 of 8 expected, 1 missing"})
    hour.archive(sessions[-1:])
    assert [result["state"] for result in hour.run()] == ["balanced"]
