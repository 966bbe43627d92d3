"""The stream's lag counts records, without markers and aborted transactions of a real Kafka."""

from collections.abc import Iterator

import pytest
from kafka import KafkaProducer

from include.contracts import topics
from include.contracts.settings import Settings
from include.supervise.consumer_lag import probe_kafka
from tests.integration.supervision.conftest import commit_to_end
from tests.polling import eventually

RECORDS = 20


@pytest.fixture
def gate(broker: Settings) -> Iterator[KafkaProducer]:
    """A producer that writes as the gate does; the stream has read all earlier records."""
    with KafkaProducer(bootstrap_servers=broker.kafka.bootstrap_servers, transactional_id="lag") as producer:
        producer.init_transactions()
        admit(producer, 1)
        eventually(lambda: probe_kafka(broker.kafka).valid_end > 0)
        commit_to_end(broker, topics.STREAM_GROUP, topics.VALID)
        yield producer


def admit(producer: KafkaProducer, records: int, *, commit: bool = True) -> None:
    """Write one transaction to two partitions."""
    producer.begin_transaction()
    for number in range(records):
        producer.send(topics.VALID, b"{}", key=b"k", partition=number % 2)
    producer.flush()
    if commit:
        producer.commit_transaction()
    else:
        producer.abort_transaction()


def read_records(settings: Settings, producer: KafkaProducer, records: int) -> None:
    """Commit as Flink does: after the last record, before its transaction marker."""
    admit(producer, records)
    commit_to_end(settings, topics.STREAM_GROUP, topics.VALID, short=1, partitions=(0, 1))


def test_lag_with_nothing_waiting_is_0(broker: Settings, gate: KafkaProducer) -> None:
    read_records(broker, gate, RECORDS)
    assert probe_kafka(broker.kafka).stream_lag == 0


def test_lag_after_an_aborted_transaction_is_0(broker: Settings, gate: KafkaProducer) -> None:
    read_records(broker, gate, RECORDS)
    before = probe_kafka(broker.kafka).valid_end
    admit(gate, RECORDS, commit=False)
    eventually(lambda: probe_kafka(broker.kafka).valid_end == before + RECORDS + 2)
    assert probe_kafka(broker.kafka).stream_lag == 0


def test_lag_with_records_waiting_is_their_number(broker: Settings, gate: KafkaProducer) -> None:
    read_records(broker, gate, RECORDS)
    admit(gate, RECORDS, commit=False)
    before = probe_kafka(broker.kafka).valid_end
    admit(gate, RECORDS)
    eventually(lambda: probe_kafka(broker.kafka).valid_end == before + RECORDS + 2)
    assert probe_kafka(broker.kafka).stream_lag == RECORDS
