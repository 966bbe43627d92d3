"""One gate in this process, on an in-memory broker or the test stack, with hooks at every call of its clients."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol, cast

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from include.clients import confluent_kafka as clients
from include.contracts import topics
from include.contracts.offset_gap import OffsetGap
from include.contracts.settings import Settings
from include.gate.gaps import GapStore
from include.gate.parts import GateParts, connect_parts
from include.gate.process import Gate
from include.gate.shutdown import ShutdownSignal
from include.gate.sink import TransactionSink
from include.gate.source import RecordSource
from tests.gate_process import Reader, user_of
from tests.in_memory_kafka import Entry, InMemoryBroker, InMemoryConsumer, InMemoryProducer
from tests.in_memory_state import InMemoryState, PartitionState
from tests.polling import eventually
from tests.sessions import encoded

INDEX = 6
NAME = f"gate-{INDEX}"
BATCH_SIZE = 3
MAX_RETRY_S = 0.02
NOW = datetime.now(UTC).isoformat()
_numbers = itertools.count()

Origin = tuple[int, int]


class CrashError(BaseException):
    """Ends the gate immediately: no part of the gate handles this error."""


class Output(NamedTuple):
    """A record of the gate's topics that `read_committed` readers get."""

    origin: Origin
    verdict: str
    """`valid` or the reason of the rejection."""


class Steps:
    """Effects of a test before and after the calls of the gate's clients; each runs once."""

    def __init__(self) -> None:
        self._effects: dict[str, list[Callable[[], object] | None]] = defaultdict(list)
        self.counts: dict[str, int] = defaultdict(int)

    def on(self, step: str, effect: Callable[[], object], after: int = 0) -> None:
        """Run the effect at a step ("before poll", "after poll") after the step was reached `after` more times."""
        self._effects[step] += [*[None] * after, effect]

    def crash(self, step: str, after: int = 0) -> None:
        """Crash at a step."""
        self.on(step, raising(CrashError(step)), after)

    def reach(self, step: str) -> None:
        self.counts[step] += 1
        if effects := self._effects[step]:
            (effects.pop(0) or (lambda: None))()


class Traced:
    """A client whose calls are steps. A `consume` without a record is not a step."""

    def __init__(self, client: Any, steps: Steps) -> None:
        self._client, self._steps = client, steps

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._client, name)

        def traced(*args: Any, **named: Any) -> Any:
            self._steps.reach(f"before {name}")
            result = call(*args, **named)
            if name != "consume" or result:
                self._steps.reach(f"after {name}")
            return result

        return traced


class ImpatientStop(ShutdownSignal):
    """Retries after a short pause instead of half a second."""

    def wait(self, seconds: float) -> None:
        super().wait(min(seconds, MAX_RETRY_S))


class GateKafka(Protocol):
    """Broker interface that tests/gate_promises.py requires; that suite runs on both implementations."""

    steps: Steps
    settings: Settings
    within_s: float
    """Maximum time for the records of a test."""

    def parts(self, stop: ShutdownSignal) -> GateParts:
        """Return the parts of a new gate process."""
        ...

    def produce(self, values: Sequence[bytes], partition: int = 0) -> list[Origin]:
        """Append to the raw topic; the key is the user's id."""
        ...

    def outputs(self) -> list[Output]:
        """Return the committed outputs since the test began, by partition in log order."""
        ...

    def committed(self) -> dict[int, int]:
        """Return the group's offsets by partition."""
        ...

    def ends(self) -> dict[int, int]:
        """Return the raw topic's end offsets by partition."""
        ...

    def fence(self) -> None:
        """Start a producer with the gate's transactional id."""
        ...

    def limit_bytes(self, topic: str, size: int) -> None:
        """Set the maximum record size of a topic."""
        ...


class MemoryGaps:
    """Gaps without a stopped partition."""

    def stopped(self, partitions: Sequence[int]) -> dict[int, OffsetGap]:
        return {}


class MemoryLease:
    """A lease without competitors."""

    def acquire(self) -> None: ...
    def renew(self) -> None: ...
    def release(self) -> None: ...


class MemoryTopic:
    """Return the raw topic's id."""

    def __init__(self, broker: InMemoryBroker) -> None:
        self._broker = broker

    def id(self) -> str:
        return self._broker.topic_id


class MemoryKafka:
    """The gate on InMemoryBroker and InMemoryState."""

    within_s = 5.0

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings = with_small_batches(settings)
        self.steps, self.broker = Steps(), InMemoryBroker(settings.kafka.partitions)
        self._state: dict[int, PartitionState] = {}
        patch_clients(
            monkeypatch,
            self.steps,
            lambda config: InMemoryProducer(self.broker, config),
            lambda _: InMemoryConsumer(self.broker, lambda: int(datetime.now(UTC).timestamp() * 1_000)),
        )

    def parts(self, stop: ShutdownSignal) -> GateParts:
        gaps = MemoryGaps()
        return GateParts(
            topic=MemoryTopic(self.broker),
            lease=MemoryLease(),
            gaps=gaps,
            open_sink=lambda single: TransactionSink("unused", NAME, single=single, clock=self.broker.clock),
            open_source=lambda topic_id: RecordSource("unused", NAME, BATCH_SIZE, topic_id, cast(GapStore, gaps)),
            open_state=lambda topic_id: cast(Any, Traced(InMemoryState(topic_id, self._state), self.steps)),
            clock=self.broker.clock,
        )

    def produce(self, values: Sequence[bytes], partition: int = 0) -> list[Origin]:
        entries = [Entry(user_of(value), value, (), None) for value in values]
        return [(partition, self.broker.append(topics.RAW, partition, entry)) for entry in entries]

    def outputs(self) -> list[Output]:
        return [
            output_of(topic, dict(entry.headers))
            for topic in (topics.VALID, topics.REJECTED)
            for partition in self.broker.partitions
            for _, entry in self.broker.read_committed(topic, partition)
        ]

    def committed(self) -> dict[int, int]:
        return {
            partition: max(self.broker.offsets[partition].offset, 0) if partition in self.broker.offsets else 0
            for partition in self.broker.partitions
        }

    def ends(self) -> dict[int, int]:
        return {partition: len(self.broker.logs[topics.RAW, partition]) for partition in self.broker.partitions}

    def fence(self) -> None:
        self.broker.init_producer(NAME)

    def limit_bytes(self, topic: str, size: int) -> None:
        self.broker.max_bytes[topic] = size


class RealKafka:
    """The gate on the test stack's Kafka and Redis; the gate processes records of earlier tests first."""

    within_s = 60.0

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings = with_small_batches(settings)
        self.steps = Steps()
        self._bootstrap = settings.kafka.bootstrap_servers
        # The comparison requires a committed offset of every partition.
        for partition in range(settings.kafka.partitions):
            self.produce([session()], partition)
        run_gate(self)
        self.steps = Steps()
        self._reader = Reader(settings)
        patch_clients(monkeypatch, self.steps, Producer, Consumer)

    def parts(self, stop: ShutdownSignal) -> GateParts:
        parts = connect_parts(self.settings, INDEX, stop)
        return replace(parts, open_state=lambda topic_id: cast(Any, Traced(parts.open_state(topic_id), self.steps)))

    def produce(self, values: Sequence[bytes], partition: int = 0) -> list[Origin]:
        producer = Producer({"bootstrap.servers": self._bootstrap, "message.max.bytes": topics.MAX_MESSAGE_BYTES})
        offsets: list[int] = []

        def note(error: Any, message: Any) -> None:
            assert error is None
            offsets.append(message.offset())

        for value in values:
            producer.produce(topics.RAW, value, user_of(value), partition, on_delivery=note)
        assert producer.flush(30) == 0
        return [(partition, offset) for offset in sorted(offsets)]

    def outputs(self) -> list[Output]:
        return [
            output_of(record.topic, dict(record.headers))
            for topic in (topics.VALID, topics.REJECTED)
            for record in self._reader.records(topic)
        ]

    def committed(self) -> dict[int, int]:
        return self._read(lambda consumer, partitions: [each.offset for each in consumer.committed(partitions, 10)])

    def ends(self) -> dict[int, int]:
        return self._read(
            lambda consumer, partitions: [consumer.get_watermark_offsets(each, timeout=10)[1] for each in partitions]
        )

    def fence(self) -> None:
        Producer({"bootstrap.servers": self._bootstrap, "transactional.id": NAME}).init_transactions(10)

    def limit_bytes(self, topic: str, size: int) -> None:
        client = KafkaAdminClient(bootstrap_servers=self._bootstrap)
        try:
            client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": str(size)})])
        finally:
            client.close()

    def _read(self, read: Callable[[Consumer, list[TopicPartition]], list[int]]) -> dict[int, int]:
        partitions = [TopicPartition(topics.RAW, number) for number in range(self.settings.kafka.partitions)]
        consumer = Consumer({"bootstrap.servers": self._bootstrap, "group.id": topics.GATE_GROUP})
        try:
            return dict(enumerate(read(consumer, partitions)))
        finally:
            consumer.close()


def patch_clients(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, producer: Callable[[Any], Any], consumer: Callable[[Any], Any]
) -> None:
    """Let the gate create these clients, and make their calls steps."""
    monkeypatch.setattr(clients, "Producer", lambda config: Traced(producer(config), steps))
    monkeypatch.setattr(clients, "Consumer", lambda config: Traced(consumer(config), steps))


def with_small_batches(settings: Settings) -> Settings:
    """Return settings that split a few records into several transactions."""
    return replace(settings, gate=replace(settings.gate, batch_size=BATCH_SIZE))


def raising(error: BaseException) -> Callable[[], None]:
    """Return an effect that raises."""

    def effect() -> None:
        raise error

    return effect


def run_gate(kafka: GateKafka, is_done: Callable[[], bool] | None = None, stop: ShutdownSignal | None = None) -> None:
    """Run a gate until the offsets of all records are committed; raise the error that ends it earlier."""
    stop = stop or ImpatientStop()
    is_done = is_done or (lambda: kafka.committed() == kafka.ends())
    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(Gate(kafka.settings, INDEX, stop, parts=kafka.parts(stop)).run)
        try:
            eventually(lambda: running.done() or is_done(), within_s=kafka.within_s, every_s=0.02)
        finally:
            stop.ask()
        running.result(timeout=30)


def session(**changes: Any) -> bytes:
    """Return a valid session of a new user."""
    name = f"promise-{NOW}-{next(_numbers)}"
    return encoded(**{"session_id": name, "user_id": name, "started_at": NOW, "ip": None} | changes)


def output_of(topic: str, headers: Mapping[str, bytes]) -> Output:
    """Return the output that a record's headers describe."""
    if topic == topics.VALID:
        partition, _, offset = headers[topics.HEADER_ORIGIN].partition(b":")
        return Output((int(partition), int(offset)), "valid")
    origin = int(headers[topics.HEADER_PARTITION]), int(headers[topics.HEADER_OFFSET])
    return Output(origin, headers[topics.HEADER_REASON].decode())
