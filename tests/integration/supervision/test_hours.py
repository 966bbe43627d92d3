"""A span of broker time counted on a real Kafka: what was planted is found, and put down to its owner."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from kafka import KafkaAdminClient, KafkaProducer

from include.contracts import topics
from include.contracts.errors import TerminalError, TransientError
from include.contracts.letters import DeadLetter, Origin
from include.contracts.settings import Settings
from include.supervise.hours import Hours
from include.supervise.progress import COMMITS, probe_kafka
from include.supervise.reconcile import HOUR, HourCounts, balance, count_hour
from tests.integration.supervision.conftest import pass_over
from tests.valid_sessions import encoded, valid_session

RAW, EMPTY, DUPLICATE, DEAD = 20, 3, 2, 1
VALID = RAW - EMPTY - DUPLICATE


@dataclass(frozen=True)
class Planted:
    """A Kafka with a span of records that add up; `VALID - DEAD` of them would be in Elasticsearch."""

    settings: Settings
    start: datetime

    def count(self, elasticsearch: int = VALID - DEAD, mongodb: int = VALID, archive_lag: int = 0) -> HourCounts:
        """The hour up to now, in which all was planted."""
        return count_hour(self.settings, datetime.now(UTC) - HOUR, elasticsearch, mongodb, archive_lag)


@pytest.fixture(scope="module")
def producer(broker: Settings) -> Iterator[KafkaProducer]:
    with KafkaProducer(bootstrap_servers=broker.kafka_bootstrap) as opened:
        yield opened


@pytest.fixture(scope="module")
def planted(broker: Settings, producer: KafkaProducer) -> Planted:
    start = datetime.now(UTC)
    places = [producer.send(topics.RAW, b"x", key=b"u", partition=n % 2).get(timeout=30) for n in range(RAW)]
    reasons = ["empty"] * EMPTY + ["duplicate"] * DUPLICATE
    for reason, place in zip(reasons, places, strict=False):
        refuse(producer, reason, place.partition, place.offset)
    # Of another hour: its record lies before this one's.
    refuse(producer, "empty", 0, places[0].offset - 1_000)
    sessions = [valid_session(session_id=f"h-{n}", received_at=datetime.now(UTC)) for n in range(VALID)]
    # Two have one id under two users, one came twice, one is of another hour, one is nothing.
    sessions[1] = valid_session(session_id="h-0", user_id="another", received_at=sessions[1].received_at)
    old = valid_session(session_id="old", received_at=start - timedelta(hours=3))
    for session in (*sessions, sessions[0], old):
        producer.send(topics.VALID, encoded(session), key=b"k")
    producer.send(topics.VALID, b"no session", key=b"k")
    late = msgspec.json.encode({"session_id": "old", "received_at": old.received_at})
    for index, identity, document in (
        ("session_summary-2026.11", "h-0", encoded(sessions[0])),
        ("session_summary-2026.11", "h-0", encoded(sessions[0])),
        ("product_details-2026.11", "h-1:0", encoded(sessions[1])),
        ("session_summary-2026.11", "old", late),
        ("session_summary", None, b"{"),
    ):
        bury(producer, index, identity, document)
    producer.flush()
    pass_over(broker, topics.GATE_GROUP, topics.RAW)
    pass_over(broker, topics.STREAM_GROUP, topics.VALID)
    return Planted(broker, start)


def refuse(producer: KafkaProducer, reason: str, partition: int, offset: int) -> None:
    headers = {
        topics.HEADER_REASON: reason,
        topics.HEADER_TOPIC: topics.RAW,
        topics.HEADER_PARTITION: str(partition),
        topics.HEADER_OFFSET: str(offset),
    }
    producer.send(topics.REJECTED, b"x", headers=[(name, value.encode()) for name, value in headers.items()])


def bury(producer: KafkaProducer, index: str, identity: str | None, document: bytes) -> None:
    letter = DeadLetter(
        index=index,
        id=identity,
        reason="refused",
        document=document.decode(),
        truncated=False,
        origin=Origin(topic=topics.VALID, partition=0, offset=0),
    )
    producer.send(topics.DEAD, msgspec.json.encode(letter))


def test_a_new_broker_has_lags_though_no_group_has_a_coordinator(broker: Settings, producer: KafkaProducer) -> None:
    before = probe_kafka(broker)
    assert (before.raw_end, before.gate_lag, before.stream_lag) == (0, 0, 0)
    place = producer.send(topics.RAW, b"", key=b"u").get(timeout=30)
    after = probe_kafka(broker)
    assert (after.raw_end, after.gate_lag) == (1, 1)
    with KafkaAdminClient(bootstrap_servers=broker.kafka_bootstrap) as admin:
        assert COMMITS not in admin.list_topics(), "a look has changed the broker"
    refuse(producer, "empty", place.partition, place.offset)


def test_a_span_is_counted_where_it_lies(planted: Planted) -> None:
    with Hours(planted.settings, planted.start, planted.start + HOUR) as hours:
        assert hours.raw() == RAW
        assert hours.rejected() == {"empty": EMPTY, "duplicate": DUPLICATE}
        assert (hours.undecided(), hours.valid(), hours.dead(), hours.stream_lag()) == (0, VALID, DEAD, 0)
    with Hours(planted.settings, planted.start - HOUR, planted.start) as before:
        assert (sum(before.rejected().values()), before.dead()) == (before.raw(), 0)


def test_a_span_without_records_is_empty(planted: Planted) -> None:
    start = datetime.now(UTC) + HOUR
    with Hours(planted.settings, start, start + HOUR) as hours:
        assert (hours.raw(), hours.rejected(), hours.undecided(), hours.valid(), hours.dead()) == (0, {}, 0, 0, 0)


def test_an_hour_that_adds_up_is_not_read_again(planted: Planted) -> None:
    counts = planted.count()
    assert counts.valid is None
    found = balance(counts)
    assert (found.balanced, found.owner, found.pending) == (True, None, False), found


@pytest.mark.parametrize(
    ("elasticsearch", "mongodb", "archive_lag", "owner", "pending"),
    [
        (VALID - DEAD - 1, VALID, 0, "stream", False),
        (VALID - DEAD + 1, VALID, 0, "stream", False),
        (VALID - DEAD, VALID - 2, 0, "archive", False),
        (VALID - DEAD, VALID - 2, 2, None, True),
        (VALID - DEAD - 1, VALID - 2, 0, "stream", False),
    ],
)
def test_a_difference_behind_the_gate_is_its_stages(
    planted: Planted, elasticsearch: int, mongodb: int, archive_lag: int, owner: str | None, pending: bool
) -> None:
    counts = planted.count(elasticsearch, mongodb, archive_lag)
    assert counts.valid == (None if owner is None else VALID)
    found = balance(counts)
    assert (found.owner, found.pending, found.balanced) == (owner, pending, owner is None), found


def test_what_the_stream_has_not_passed_is_in_flight(planted: Planted) -> None:
    pass_over(planted.settings, topics.STREAM_GROUP, topics.VALID, short=2)
    found = balance(planted.count(VALID - DEAD - 2))
    assert (found.owner, found.pending) == (None, True), found
    pass_over(planted.settings, topics.STREAM_GROUP, topics.VALID)
    assert balance(planted.count(VALID - DEAD - 2)).owner == "stream"


def test_what_the_gate_has_not_decided_is_in_flight(planted: Planted) -> None:
    pass_over(planted.settings, topics.GATE_GROUP, topics.RAW, short=3)
    counts = planted.count(VALID - DEAD - 3, VALID - 3)
    assert counts.undecided == 3
    found = balance(counts)
    assert (found.owner, found.pending) == (None, True), found
    pass_over(planted.settings, topics.GATE_GROUP, topics.RAW)


def test_a_record_the_gate_passed_without_a_verdict_is_the_gates(planted: Planted, producer: KafkaProducer) -> None:
    place = producer.send(topics.RAW, b"x", key=b"u", partition=0).get(timeout=30)
    pass_over(planted.settings, topics.GATE_GROUP, topics.RAW)
    found = balance(planted.count())
    assert found.owner == "gate", found
    assert [(line.stage, line.difference) for line in found.lines if line.wrong] == [("gate", -1)]
    refuse(producer, "malformed", place.partition, place.offset)
    producer.flush()
    assert balance(planted.count()).balanced


def test_an_hour_that_is_not_over_or_has_expired_is_refused(planted: Planted) -> None:
    with pytest.raises(TerminalError, match="is not over"):
        count_hour(planted.settings, datetime.now(UTC) - HOUR + timedelta(minutes=1), 0)
    with pytest.raises(TerminalError, match="have expired"):
        count_hour(planted.settings, datetime.now(UTC) - timedelta(days=4), 0)


def test_without_kafka_nothing_is_counted(broker: Settings) -> None:
    away = broker.replace(kafka_bootstrap="127.0.0.1:1")
    with pytest.raises(TransientError, match="Kafka does not answer"):
        count_hour(away, datetime.now(UTC) - HOUR, 0)
