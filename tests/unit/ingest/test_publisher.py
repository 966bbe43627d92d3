"""Counts of the publisher with a scripted producer; the end-to-end tests run it on a real broker."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from include.contracts.errors import SettingsError
from include.contracts.settings import KafkaSettings, Settings
from include.ingest import publisher
from include.ingest.labelled_record import VALID, LabelledRecord, partition_of
from include.ingest.publisher import DeliveryError, publish

SETTINGS = Settings(kafka=KafkaSettings(partitions=4))
BASE = 1_764_000_000


class ScriptedFuture:
    """Outcome of a record: done after `asks` polls, with an error or at a broker time."""

    def __init__(self, number: int, polls: int, error: Exception | None) -> None:
        self._polls = polls
        self.exception = error
        self.value = type("Metadata", (), {"timestamp": (BASE + number) * 1_000})

    @property
    def is_done(self) -> bool:
        return self._polls <= 0

    def failed(self) -> bool:
        return self.exception is not None

    def get(self, timeout: float) -> None:
        self._polls -= 1
        if self._polls > 0:
            raise KafkaTimeoutError(f"{timeout}")
        if self.exception:
            raise self.exception


class ScriptedProducer:
    """Accepts records; the tests set its responses."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, Any, int]] = []
        self.futures: list[ScriptedFuture] = []
        self.polls = 0
        self.partitions = 4
        self.errors: dict[int, Exception] = {}
        self.fails_at: int | None = None
        self.max_in_flight = 0
        self.closed = False

    def partitions_for(self, topic: str) -> set[int]:
        assert topic == "sessions.raw"
        return set(range(self.partitions))

    def send(self, topic: str, value: bytes, key: bytes | None, partition: int) -> ScriptedFuture:
        assert topic == "sessions.raw"
        number = len(self.sent)
        if number == self.fails_at:
            raise MessageSizeTooLargeError("too large")
        self.sent.append((key, value, partition))
        self.futures.append(ScriptedFuture(number, self.polls, self.errors.get(number)))
        self.max_in_flight = max(self.max_in_flight, sum(not future.is_done for future in self.futures[-200:]))
        return self.futures[-1]

    def close(self, timeout: float) -> None:
        self.closed = True


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch) -> ScriptedProducer:
    scripted = ScriptedProducer()
    monkeypatch.setattr(publisher, "create_producer", lambda *_, **__: scripted)
    return scripted


def labelled_records(count: int, first: datetime | None = None, gap_s: float = 0.0) -> Iterator[LabelledRecord]:
    start = first or datetime(2026, 11, 23, tzinfo=UTC)
    for number in range(count):
        yield LabelledRecord(
            key=None if number % 10 == 9 else f"u-{number % 7}".encode(),
            value=f"value {number}".encode(),
            arrives_at=start + timedelta(seconds=number * gap_s),
            session_id=f"s-{number}",
            verdict=VALID,
        )


def test_publish_sends_in_order_to_the_partition_of_the_key(producer: ScriptedProducer) -> None:
    acknowledgements: list[tuple[str, float]] = []
    report = publish(
        SETTINGS.kafka, labelled_records(1_000), on_acknowledged=lambda name, at: acknowledgements.append((name, at))
    )
    assert [value for _, value, _ in producer.sent] == [f"value {number}".encode() for number in range(1_000)]
    assert all(partition == partition_of(key, 4) for key, _, partition in producer.sent)
    assert all(partition == 0 for key, _, partition in producer.sent if key is None)
    assert (report.sent, report.acknowledged) == (1_000, 1_000)
    assert acknowledgements == [(f"s-{number}", float(BASE + number)) for number in range(1_000)]
    assert report.by_partition == {p: sum(part == p for *_, part in producer.sent) for p in range(4)}
    assert report.value_bytes == sum(len(value) for _, value, _ in producer.sent)
    assert (report.first_at, report.last_at) == (BASE, BASE + 999)
    assert producer.closed


def test_partitions_are_those_of_every_kafka_client() -> None:
    """Compare with Kafka's own UtilsTest for murmur2, as partitions of 1,000."""
    existing = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    for key, hashed in existing.items():
        assert partition_of(key, 1_000) == (hashed & 0x7FFFFFFF) % 1_000


def test_publish_limits_records_in_flight(producer: ScriptedProducer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "MAX_IN_FLIGHT", 50)
    producer.polls = 1
    report = publish(SETTINGS.kafka, labelled_records(2_000))
    assert report.acknowledged == 2_000
    assert producer.max_in_flight == 50


def test_publish_limits_bytes_in_flight(producer: ScriptedProducer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "MAX_IN_FLIGHT_BYTES", 95)
    producer.polls = 1
    assert publish(SETTINGS.kafka, labelled_records(100)).acknowledged == 100
    assert producer.max_in_flight == 95 // len(b"value 0")


def test_publish_failed_record_raises_delivery_error(producer: ScriptedProducer) -> None:
    producer.errors[700] = MessageSizeTooLargeError("no")
    producer.polls = 1
    with pytest.raises(DeliveryError, match="s-700"):
        publish(SETTINGS.kafka, labelled_records(1_000))
    assert producer.closed


def test_publish_failed_send_raises_delivery_error(producer: ScriptedProducer) -> None:
    producer.fails_at = 5
    with pytest.raises(DeliveryError, match="after 5"):
        publish(SETTINGS.kafka, labelled_records(10))


def test_publish_without_acknowledgement_waits_then_raises(producer: ScriptedProducer) -> None:
    producer.polls = 4
    assert publish(SETTINGS.kafka, labelled_records(1)).acknowledged == 1
    producer.polls = 1_000_000
    with pytest.raises(DeliveryError, match="1 records are in doubt"):
        publish(SETTINGS.kafka, labelled_records(1), patience_s=0.01)


def test_publish_partition_count_mismatch_raises(producer: ScriptedProducer) -> None:
    producer.partitions = 3
    with pytest.raises(SettingsError, match="3 partitions"):
        publish(SETTINGS.kafka, labelled_records(1))
    assert producer.sent == []


def test_publish_with_rate_limits_throughput(producer: ScriptedProducer) -> None:
    begun = time.monotonic()
    publish(SETTINGS.kafka, labelled_records(51), rate=250.0)
    assert time.monotonic() - begun >= 0.2


def test_publish_arrival_pace_sends_at_arrival_times(
    producer: ScriptedProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[float] = []
    send = producer.send

    def noting(topic: str, value: bytes, key: bytes | None, partition: int) -> ScriptedFuture:
        times.append(time.time())
        return send(topic, value, key, partition)

    monkeypatch.setattr(producer, "send", noting)
    first = datetime.now(UTC) + timedelta(seconds=0.05)
    publish(SETTINGS.kafka, labelled_records(5, first, 0.05), pace="arrival")
    assert all(at >= first.timestamp() + number * 0.05 for number, at in enumerate(times))
    assert all(before <= after for before, after in pairwise(times))


def test_publish_reports_progress_until_complete(producer: ScriptedProducer) -> None:
    messages: list[tuple[int, int]] = []
    publish(
        SETTINGS.kafka,
        labelled_records(1_000),
        on_progress=lambda sent, acknowledged: messages.append((sent, acknowledged)),
    )
    assert messages[-1] == (1_000, 1_000)
    assert all(before <= after for before, after in pairwise(messages))


def test_publish_unreachable_kafka_raises_delivery_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: Any, **__: Any) -> None:
        raise KafkaTimeoutError("nobody there")

    monkeypatch.setattr(publisher, "create_producer", absent)
    with pytest.raises(DeliveryError, match=r"127\.0\.0\.1:19000 is unavailable"):
        publish(SETTINGS.kafka, labelled_records(1), patience_s=0.0)
