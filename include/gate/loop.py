"""The transactional loop: poll, decide, and commit outputs with offsets as one Kafka transaction.

A crash between any two lines is harmless: before the commit nothing is visible to `read_committed`
readers and the offsets stand where they were; Redis answers the redelivered batch with its first verdicts.
One batch is decided while the one before it is committed, by one thread each, so that the waits for Redis
and Kafka overlap; a batch is committed only after the one before it, and a failure throws both away.
"""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.errors import FencedInstanceIdError, KafkaError, ProducerFencedError

from include.contracts import topics
from include.contracts.errors import TerminalError
from include.contracts.settings import Settings
from include.gate.check import Limits
from include.gate.decide import Judge, Output, Record
from include.gate.memory import Memory
from include.gate.metrics import GateMetrics
from include.gate.pseudonym import pseudonymizer
from include.gate.stop import Stop, Stopped

log = logging.getLogger(__name__)

POLL_MS = 250
BEAT_S = 1.0
SESSION_TIMEOUT_MS = 10_000
TRANSACTION_TIMEOUT_MS = 30_000
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 5.0
FETCH_BYTES = 8 * 1024 * 1024
BATCH_BYTES = 1024 * 1024
Offsets = dict[TopicPartition, OffsetAndMetadata]

FENCED = (ProducerFencedError, FencedInstanceIdError)


class Gate:
    """One gate process. `index` names it among its fellows and must not be shared."""

    def __init__(self, settings: Settings, index: int, stop: Stop, metrics: GateMetrics | None = None) -> None:
        self._metrics = metrics or GateMetrics()
        self._settings = settings
        self._name = f"gate-{index}"
        self._stop = stop
        self._pseudonym = pseudonymizer(settings.require_pseudonym_key())

    def run(self) -> None:
        """Work until asked to stop. Waits and starts over while Kafka or Redis is away.

        Raises TerminalError where another process runs under the same name.
        """
        wait_s = FIRST_WAIT_S
        while not self._stop.asked:
            began = time.monotonic()
            try:
                self._work()
            except Stopped:
                break
            except FENCED as error:
                raise TerminalError(f"{self._name} was fenced off", "another process runs under this index") from error
            except (KafkaError, OSError) as error:
                if time.monotonic() - began > LONGEST_WAIT_S:
                    wait_s = FIRST_WAIT_S
                log.warning("waiting for kafka, again in %.1f s: %s: %s", wait_s, type(error).__name__, error)
                try:
                    self._stop.wait(wait_s)
                except Stopped:
                    break
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)
        log.info("%s stopped", self._name)

    def _work(self) -> None:
        """Open all clients and pump until asked to stop or a client fails."""
        consumer = _consumer(self._settings, self._name)
        try:
            producer = _producer(self._settings, self._name)
            try:
                producer.init_transactions()
                memory = Memory(self._settings, _topic_id(self._settings), self._stop)
                try:
                    judge = Judge(Limits.of(self._settings), self._pseudonym, memory.decide)
                    log.info("%s ready", self._name)
                    self._pump(consumer, producer, memory, judge)
                finally:
                    memory.close()
            finally:
                producer.close(timeout=5)
        finally:
            consumer.close()

    def _pump(self, consumer: KafkaConsumer, producer: KafkaProducer, memory: Memory, judge: Judge) -> None:
        beat_at = 0.0
        with ThreadPoolExecutor(1, thread_name_prefix="commit") as committer:
            pending: Future[None] | None = None
            while not self._stop.asked:
                polled = consumer.poll(timeout_ms=POLL_MS, max_records=self._settings.gate_batch)
                batch = _decided(consumer, list(polled.values()), judge) if polled else None
                if pending is not None and (batch is not None or pending.done()):
                    pending.result()
                    pending = None
                if batch is not None:
                    pending = committer.submit(_commit, self._metrics, producer, *batch)
                if time.monotonic() >= beat_at:  # also while busy: some of its partitions may be idle
                    memory.beat([place.partition for place in consumer.assignment()])
                    beat_at = time.monotonic() + BEAT_S
            if pending is not None:
                pending.result()


def _decided(
    consumer: KafkaConsumer, polled: Sequence[Sequence[Record]], judge: Judge
) -> tuple[list[Output], Offsets, Any]:
    """What one transaction must hold: outputs, the offsets behind their records, the group's generation."""
    generation = consumer.group_metadata()
    offsets = {
        TopicPartition(records[-1].topic, records[-1].partition): OffsetAndMetadata(records[-1].offset + 1, "", -1)
        for records in polled
    }
    return judge.decide(polled), offsets, generation


def _commit(
    metrics: GateMetrics, producer: KafkaProducer, outputs: Sequence[Output], offsets: Offsets, generation: Any
) -> None:
    producer.begin_transaction()
    try:
        with metrics.transaction(len(outputs)):
            _send(producer, outputs)
            producer.send_offsets_to_transaction(offsets, generation)
            producer.commit_transaction()
    except KafkaError:
        # Without the abort the transaction would block readers until it times out.
        _abort(producer)
        raise


def _send(producer: KafkaProducer, outputs: Sequence[Output]) -> None:
    send = producer.send
    for topic, partition, key, value, headers in outputs:
        send(topic, value=value, key=key, headers=headers or None, partition=partition)


def _abort(producer: KafkaProducer) -> None:
    try:
        producer.abort_transaction()
    except KafkaError as error:
        log.warning("could not abort, the broker will: %s: %s", type(error).__name__, error)


def _consumer(settings: Settings, name: str) -> KafkaConsumer:
    consumer = KafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap.split(","),
        client_id=name,
        group_id=topics.GATE_GROUP,
        # A restarted process takes its own place again at once instead of waiting for its former self to expire.
        group_instance_id=name,
        # Also makes the broker hold back offsets of a transaction that is still in doubt.
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
        max_poll_records=settings.gate_batch,
        fetch_max_wait_ms=100,
        fetch_max_bytes=FETCH_BYTES,
        max_partition_fetch_bytes=topics.MAX_MESSAGE_BYTES,
        session_timeout_ms=SESSION_TIMEOUT_MS,
        heartbeat_interval_ms=SESSION_TIMEOUT_MS // 4,
        metrics_enabled=False,
    )
    consumer.subscribe([topics.RAW])
    return consumer


def _producer(settings: Settings, name: str) -> KafkaProducer:
    return KafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap.split(","),
        client_id=name,
        transactional_id=name,
        transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
        acks="all",
        batch_size=BATCH_BYTES,
        linger_ms=20,
        max_request_size=2 * topics.MAX_MESSAGE_BYTES,
        allow_auto_create_topics=False,
        metrics_enabled=False,
    )


def _topic_id(settings: Settings) -> str:
    """The broker's id of the raw topic; it changes when the topic is made anew and offsets start over."""
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap.split(","))
    try:
        described = admin.describe_topics([topics.RAW])[0]
    finally:
        admin.close()
    if described["error_code"]:
        raise KafkaError(f"topic {topics.RAW} does not exist yet")
    return str(described["topic_id"])
