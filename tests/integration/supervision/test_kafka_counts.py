"""Counts of a span of broker time on a real Kafka: injected errors are detected and assigned to their cause."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from kafka import KafkaAdminClient, KafkaProducer

from include.contracts import topics
from include.contracts.dead_letters import DeadLetter, Origin
from include.contracts.errors import TransientError
from include.contracts.settings import Settings
from include.supervise.consumer_lag import COMMITS, probe_kafka
from include.supervise.kafka_counts import HourlyCounts, committed, end_offsets, oldest_raw
from include.supervise.reconcile import HOUR, Evidence, Rows, gate_line
from tests.integration.supervision.conftest import commit_to_end
from tests.valid_sessions import encoded, valid_session

RAW, EMPTY, DUPLICATE, DEAD = 20, 3, 2, 1
VALID = RAW - EMPTY - DUPLICATE
UNAVAILABLE_TIMEOUT_MS = 500


@dataclass(frozen=True)
class Planted:
    """A Kafka with a span of records that add up."""

    settings: Settings
    start: datetime

    def hours(self) -> HourlyCounts:
        """The span of all injected records."""
        return HourlyCounts(self.settings, self.start, self.start + HOUR)


@pytest.fixture(scope="module")
def producer(broker: Settings) -> Iterator[KafkaProducer]:
    with KafkaProducer(bootstrap_servers=broker.kafka.bootstrap_servers) as opened:
        yield opened


@pytest.fixture(scope="module")
def injected(broker: Settings, producer: KafkaProducer) -> Planted:
    start = datetime.now(UTC)
    topic_partitions = [producer.send(topics.RAW, b"x", key=b"u", partition=n % 2).get(timeout=30) for n in range(RAW)]
    reasons = ["empty"] * EMPTY + ["duplicate"] * DUPLICATE
    for reason, topic_partition in zip(reasons, topic_partitions, strict=False):
        refuse(producer, reason, topic_partition.partition, topic_partition.offset)
    # Of another hour: its raw record precedes the span.
    refuse(producer, "empty", 0, topic_partitions[0].offset - 1_000)
    sessions = [valid_session(session_id=f"h-{n}", received_at=datetime.now(UTC)) for n in range(VALID)]
    # Two have one id with two users, one is a duplicate, one is of another hour, one is undecodable.
    sessions[1] = valid_session(session_id="h-0", user_id="another", received_at=sessions[1].received_at)
    old = valid_session(session_id="old", received_at=start - timedelta(hours=3))
    for session in (old, *sessions, sessions[0]):
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
    commit_to_end(broker, topics.GATE_GROUP, topics.RAW)
    commit_to_end(broker, topics.STREAM_GROUP, topics.VALID)
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
    dead_letter = DeadLetter(
        index=index,
        id=identity,
        reason="refused",
        document=document.decode(),
        truncated=False,
        origin=Origin(topic=topics.VALID, partition=0, offset=0),
    )
    producer.send(topics.DEAD, msgspec.json.encode(dead_letter))


def test_lags_on_new_broker_without_coordinator_are_available(broker: Settings, producer: KafkaProducer) -> None:
    before = probe_kafka(broker.kafka)
    assert (before.raw_end, before.gate_lag, before.stream_lag) == (0, 0, 0)
    topic_partition = producer.send(topics.RAW, b"", key=b"u").get(timeout=30)
    after = probe_kafka(broker.kafka)
    assert (after.raw_end, after.gate_lag) == (1, 1)
    with KafkaAdminClient(bootstrap_servers=broker.kafka.bootstrap_servers) as admin:
        assert COMMITS not in admin.list_topics(), "a look has changed the broker"
    refuse(producer, "empty", topic_partition.partition, topic_partition.offset)


def test_evidence_of_a_span_counts_its_records(injected: Planted) -> None:
    with injected.hours() as hours:
        assert (hours.raw(), hours.undecided()) == (RAW, 0)
        result = hours.evidence()
        dead = hours.dead()
    # Admitted records; one session is admitted twice.
    assert (result.raw, result.rejected) == (RAW, {"empty": EMPTY, "duplicate": DUPLICATE})
    assert result.months == {
        "2026-11": Rows(session_summary=VALID + 1, product_details=VALID + 1, product_sentiment=VALID + 1)
    }
    assert {index: sum(rows.values()) for index, rows in dead.items()} == {
        "session_summary": DEAD,
        "product_details": 1,
        "product_sentiment": 0,
    }
    with HourlyCounts(injected.settings, injected.start - HOUR, injected.start) as before:
        assert (before.evidence().rejected, before.evidence().valid) == ({"empty": before.raw()}, 0)


def test_bounds_of_a_span_are_after_its_last_session(injected: Planted, producer: KafkaProducer) -> None:
    with injected.hours() as hours:
        bounds = hours.evidence().bounds
    later = valid_session(session_id="later", received_at=injected.start + 2 * HOUR)
    for partition in range(injected.settings.kafka.partitions):
        producer.send(topics.VALID, encoded(later), key=b"k", partition=partition).get(timeout=30)
    with injected.hours() as hours:
        again = hours.evidence()
    ends = end_offsets(injected.settings.kafka, topics.VALID)
    assert again.bounds == bounds
    assert all(bound < ends[int(partition)] for partition, bound in bounds.items())
    assert again.waiting(committed(injected.settings.kafka, topics.STREAM_GROUP, topics.VALID)) == 0


def test_evidence_of_a_span_without_records_is_empty(injected: Planted) -> None:
    start = datetime.now(UTC) + 10 * HOUR
    with HourlyCounts(injected.settings, start, start + HOUR) as hours:
        assert (hours.undecided(), hours.evidence()) == (0, Evidence(raw=0, rejected={}, months={}, bounds={}))


def test_raw_records_that_the_gate_has_not_passed_are_undecided(injected: Planted) -> None:
    commit_to_end(injected.settings, topics.GATE_GROUP, topics.RAW, short=3)
    with injected.hours() as hours:
        assert hours.undecided() == 3
    commit_to_end(injected.settings, topics.GATE_GROUP, topics.RAW)


def test_oldest_raw_record_has_the_time_of_its_arrival(injected: Planted) -> None:
    oldest = oldest_raw(injected.settings.kafka)
    assert oldest is not None
    assert injected.start - HOUR < oldest <= datetime.now(UTC)


def admit(producer: KafkaProducer, partition: int, offset: int) -> None:
    """Return a session of `sessions.valid` with its raw record as origin."""
    session = valid_session(session_id=f"o-{partition}-{offset}", received_at=datetime.now(UTC))
    origin = [(topics.HEADER_ORIGIN, b"%d:%d" % (partition, offset))]
    producer.send(topics.VALID, encoded(session), key=b"k", partition=partition, headers=origin)


def test_evidence_of_one_lost_and_one_repeated_record_shows_both(broker: Settings, producer: KafkaProducer) -> None:
    start = datetime.now(UTC)
    raw = [producer.send(topics.RAW, b"x", key=b"u", partition=n % 2).get(timeout=30) for n in range(10)]
    # Of ten records the third is lost and the fifth is admitted twice, so the counts are equal.
    for record in (*raw[:2], *raw[3:9], raw[4]):
        admit(producer, record.partition, record.offset)
    refuse(producer, "empty", raw[9].partition, raw[9].offset)
    producer.flush()

    with HourlyCounts(broker, start, start + HOUR) as hours:
        line = gate_line(hours.evidence())

    assert (line.is_mismatched, line.difference) == (True, -1)
    assert line.text == "admitted 8 of 9 expected, 1 missing, 1 decided twice"


def test_evidence_of_a_transactional_source_counts_records_without_markers(
    broker: Settings, producer: KafkaProducer
) -> None:
    start = datetime.now(UTC)
    topic_partitions = []
    with KafkaProducer(bootstrap_servers=broker.kafka.bootstrap_servers, transactional_id=uuid.uuid4().hex) as source:
        source.init_transactions()
        for transaction in range(4):
            source.begin_transaction()
            sent = [source.send(topics.RAW, b"x", key=b"u", partition=n % 2) for n in range(4)]
            if transaction == 1:
                source.abort_transaction()
                continue
            topic_partitions += [future.get(timeout=30) for future in sent]
            source.commit_transaction()
    for topic_partition in topic_partitions[:-1]:
        admit(producer, topic_partition.partition, topic_partition.offset)
    producer.flush()
    with HourlyCounts(broker, start, start + HOUR) as hours:
        incomplete = gate_line(hours.evidence())
    admit(producer, topic_partitions[-1].partition, topic_partitions[-1].offset)
    producer.flush()
    with HourlyCounts(broker, start, start + HOUR) as hours:
        complete = gate_line(hours.evidence())

    assert incomplete.text == "admitted 11 of 12 expected, 1 missing"
    assert (complete.expected, complete.actual, complete.is_mismatched) == (12, 12, False)


def test_counts_without_kafka_raise_transient_error(broker: Settings) -> None:
    unavailable = broker.replace(kafka={"bootstrap_servers": "127.0.0.1:1"})
    with (
        pytest.raises(TransientError, match=r"Kafka at .* is unavailable"),
        HourlyCounts(unavailable, datetime.now(UTC), datetime.now(UTC), bootstrap_ms=UNAVAILABLE_TIMEOUT_MS),
    ):
        pass
    with pytest.raises(TransientError, match=r"Kafka at .* is unavailable"):
        committed(unavailable.kafka, topics.GATE_GROUP, topics.RAW, bootstrap_ms=UNAVAILABLE_TIMEOUT_MS)
    with pytest.raises(TransientError, match=r"Kafka at .* is unavailable"):
        end_offsets(unavailable.kafka, topics.RAW, bootstrap_ms=UNAVAILABLE_TIMEOUT_MS)
