"""The history check of the drills on real topics: it counts each lost, duplicated and aborted record."""

import uuid
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import psutil
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from drills.broker_probe import BrokerProbe, is_responding
from drills.origins import History, check_history
from include.contracts import topics
from include.contracts.settings import Settings
from local.stack import Stack
from tests.polling import eventually

RECORDS = 6


class Names(NamedTuple):
    """Topics of one test."""

    raw: str
    valid: str
    rejected: str


@pytest.fixture
def names(stack: Stack) -> Iterator[Names]:
    """New topics with the partitions of the gate's, filled with six raw records; deleted afterwards."""
    suffix = uuid.uuid4().hex[:8]
    names = Names(f"history-raw-{suffix}", f"history-valid-{suffix}", f"history-rejected-{suffix}")
    admin = AdminClient({"bootstrap.servers": stack.settings.kafka.bootstrap_servers})
    created = admin.create_topics([NewTopic(name, stack.settings.kafka.partitions, 1) for name in names])
    for future in created.values():
        future.result(30)
    producer = Producer({"bootstrap.servers": stack.settings.kafka.bootstrap_servers})
    for number in range(RECORDS):
        producer.produce(names.raw, value_of(number), partition=number % stack.settings.kafka.partitions)
    assert producer.flush(30) == 0
    yield names
    for future in admin.delete_topics(list(names)).values():
        future.result(30)


def value_of(number: int) -> bytes:
    return b'{"session_id":"s-%d"}' % number


def write(settings: Settings, names: Names, numbers: Iterable[int], *, commit: bool = True) -> None:
    """Write the outputs of raw records in one transaction, as the gate does; even records are valid."""
    producer = Producer(
        {"bootstrap.servers": settings.kafka.bootstrap_servers, "transactional.id": f"history-{uuid.uuid4()}"}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    for number in numbers:
        origin = f"{number % settings.kafka.partitions}:{number // settings.kafka.partitions}"
        topic = names.rejected if number % 2 else names.valid
        producer.produce(
            topic,
            value_of(number),
            partition=number % settings.kafka.partitions,
            headers={topics.HEADER_ORIGIN: origin.encode()},
        )
    assert producer.flush(30) == 0
    if commit:
        producer.commit_transaction(30)
    else:
        producer.abort_transaction(30)


def check(settings: Settings, names: Names) -> History:
    return check_history(settings.kafka, names.raw, (names.valid, names.rejected))


def test_check_history_complete_outputs_have_no_faults(stack: Stack, names: Names) -> None:
    write(stack.settings, names, range(RECORDS))
    assert check(stack.settings, names) == History(raw=RECORDS, lost=0, duplicated=0, rejected=3, aborted=0)


@pytest.mark.parametrize(
    ("transactions", "expected"),
    [
        ([([0, 1, 3, 4, 5], True)], History(RECORDS, lost=1, duplicated=0, rejected=3, aborted=0)),
        ([([0, 1, 2, 3, 4, 5], True), ([3], True)], History(RECORDS, lost=0, duplicated=1, rejected=4, aborted=0)),
        ([([0, 1, 2, 3, 4, 5], True), ([6], True)], History(RECORDS, lost=0, duplicated=1, rejected=3, aborted=0)),
        ([([4], False), ([0, 1, 2, 3, 4, 5], True)], History(RECORDS, lost=0, duplicated=0, rejected=3, aborted=1)),
        (
            [([2], False), ([0, 1, 3, 4, 5], True), ([0], True)],
            History(RECORDS, lost=1, duplicated=1, rejected=3, aborted=1),
        ),
    ],
    ids=["lost", "duplicated", "without raw record", "aborted", "lost, duplicated and aborted"],
)
def test_check_history_counts_each_fault(
    stack: Stack, names: Names, transactions: list[tuple[list[int], bool]], expected: History
) -> None:
    for numbers, commit in transactions:
        write(stack.settings, names, numbers, commit=commit)
    assert check(stack.settings, names) == expected


def test_broker_probe_running_broker_responds(stack: Stack) -> None:
    probe = BrokerProbe(stack.settings.local.ports.kafka)
    answered_at = probe.wait(30)
    assert answered_at is not None
    assert answered_at >= probe.started_at


def test_broker_probe_hung_broker_times_out(stack: Stack) -> None:
    """The kernel accepts connections of a stopped process, so the probe must wait for a response."""
    broker = psutil.Process(stack.pid("kafka"))
    broker.suspend()
    try:
        assert BrokerProbe(stack.settings.local.ports.kafka).wait(1.0) is None
    finally:
        broker.resume()
    eventually(lambda: is_responding(stack.settings.local.ports.kafka), within_s=30)
