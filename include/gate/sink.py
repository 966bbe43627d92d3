"""The gate's transactional producer: outputs and offsets of one batch are one Kafka transaction.

Every call has a time limit, and the sum of the limits is below that of the transaction. After any error the sink must
be discarded: the outcome of its last transaction is unknown, and only a new producer (a new epoch) settles it.
"""

import logging
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from include.clients.confluent_kafka import create_producer
from include.clients.confluent_kafka import log as client_log
from include.contracts.errors import TransientError
from include.gate.batch_processor import Output
from include.gate.clock import Clock
from include.gate.kafka_errors import CONNECTION_LOST_CODES, OVERSIZE_CODES, code_of
from include.gate.shutdown import exit_now

log = logging.getLogger(__name__)

TRANSACTION_TIMEOUT_S = 30.0
TRANSACTION_LIMIT_S = 20.0
"""From the begin of a transaction to the end of its commit."""
BEGIN_LIMIT_S = 5.0
COMMIT_TIMEOUT_S = 8.0
INIT_TIMEOUT_S = 10.0
DELIVERY_TIMEOUT_MS = 15_000
SLICE_S = 0.25
REPORTS_TIMEOUT_S, REPORTS_INTERVAL_S = 2.0, 0.05
NO_RETRY_MS = 120_000
"""Backoff before librdkafka resends an EndTxn after a lost connection; the sink is discarded long before."""
BATCH_BYTES = 1024 * 1024
QUEUE_MESSAGES = 200_000
QUEUE_KBYTES = 512 * 1024


class CommitError(TransientError):
    """A transaction exceeded its limits or lost its connection; its outcome is unknown."""

    def __init__(self, message: str) -> None:
        super().__init__(f"commit failed: {message}", "none: a new producer settles it")


class OversizeError(TransientError):
    """Outputs exceed the broker's size limit; `outputs` are those, or empty if a whole batch failed."""

    def __init__(self, outputs: Sequence[Output]) -> None:
        super().__init__("produce failed: the broker's max.message.bytes is exceeded", "raise max.message.bytes")
        self.outputs = outputs


class TransactionSink:
    """One transactional producer. `single`: one record per request, so that an error concerns that record only."""

    def __init__(self, bootstrap: str, name: str, *, single: bool = False, clock: Clock = time.monotonic) -> None:
        self._single = single
        self._failures: list[tuple[KafkaError, Message]] = []
        self._lost: list[str] = []
        self._clock = clock
        self._began = clock()
        self.in_doubt = False
        """Whether the last transaction began and is not known to be committed."""
        self._producer = create_producer(bootstrap, name, _config(name, single, self._failures, self._lost))

    def open(self) -> None:
        """Fence earlier producers of this name and settle their last transaction."""
        self._producer.init_transactions(INIT_TIMEOUT_S)

    @property
    def transaction_age_s(self) -> float:
        """Seconds since the last transaction began."""
        return self._clock() - self._began

    def commit(self, outputs: Sequence[Output], offsets: list[TopicPartition], group: Any) -> None:
        """Produce, wait for every acknowledgement, then add the offsets and commit.

        Raises CommitError, OversizeError or KafkaException; the sink must then be discarded.
        """
        self._began = self._clock()
        self._producer.poll(0)
        self._lost.clear()
        self.in_doubt = True
        try:
            self._begin()
            self._produce(outputs)
            self._await_acknowledgements(outputs)
            self._producer.send_offsets_to_transaction(offsets, group, min(COMMIT_TIMEOUT_S, self._left()))
            self._end()
            self.in_doubt = False
            # The client may have sent the commit again: its first copy could still end a later transaction.
            self._producer.poll(0)
            self._require_connection()
        except SystemError as error:
            # A fatal error sets an exception before the callbacks run; CPython complains about the callback.
            if isinstance(error.__cause__, KafkaException):
                raise error.__cause__ from None
            raise

    def discard(self) -> None:
        """Drop all queued records; the broker or the next producer aborts the open transaction."""
        self._producer.purge()

    def _left(self) -> float:
        left = TRANSACTION_LIMIT_S - self.transaction_age_s
        if left <= 0:
            raise CommitError(f"not done within {TRANSACTION_LIMIT_S:g} s")
        return left

    def _begin(self) -> None:
        """Begin a transaction. The call has no time limit, and in some cases of a lost connection it never returns.

        See https://github.com/confluentinc/librdkafka/issues/4420. The thread cannot be freed, so the process ends;
        nothing of the transaction was sent.
        """
        watchdog = threading.Timer(BEGIN_LIMIT_S, exit_now, [f"a commit hangs: no begin within {BEGIN_LIMIT_S:g} s"])
        watchdog.daemon = True
        watchdog.start()
        try:
            self._producer.begin_transaction()
        finally:
            watchdog.cancel()

    def _produce(self, outputs: Sequence[Output]) -> None:
        produce: Any = self._producer.produce
        for output in outputs:
            topic, partition_, key, value, headers, _ = output
            try:
                produce(topic, value, key, partition_, headers=headers)
            except BufferError:
                self._produce_when_free(output)
            except KafkaException as error:
                if code_of(error) in OVERSIZE_CODES:
                    raise OversizeError([output]) from error
                if code_of(error) == KafkaError._STATE:  # a failed delivery has aborted the transaction
                    self._raise_failures(outputs)
                raise
        self._producer.poll(0)

    def _produce_when_free(self, output: Output) -> None:
        """Wait until the full queue has room; it empties as the broker acknowledges."""
        produce: Any = self._producer.produce
        while True:
            self._left()
            self._producer.poll(SLICE_S)
            try:
                produce(output.topic, output.value, output.key, output.partition, headers=output.headers)
            except BufferError:
                continue
            return

    def _await_acknowledgements(self, outputs: Sequence[Output]) -> None:
        while self._producer.flush(min(SLICE_S, self._left())):
            if self._failures:
                break
            self._require_connection()
        if self._failures:
            self._raise_failures(outputs)

    def _raise_failures(self, outputs: Sequence[Output]) -> None:
        """Raise the cause of failed deliveries, if there are any.

        The first failure aborts the transaction, which also fails the records queued behind it; the client may report
        those before the cause.

        Raises:
            OversizeError: The broker refused records for their size.
            CommitError: Records were not delivered for another reason.
        """
        until = self._clock() + REPORTS_TIMEOUT_S
        while not self._oversize_messages() and self._producer.flush(REPORTS_INTERVAL_S) and self._clock() < until:
            pass
        refused = self._oversize_messages()
        if refused:
            results = [output for output in outputs if (output.topic, output.partition, output.value) in refused]
            raise OversizeError(results if self._single else [])
        if self._failures:
            raise CommitError(f"{len(self._failures)} records were not delivered, first: {self._failures[0][0]}")

    def _oversize_messages(self) -> set[tuple[Any, Any, Any]]:
        """Topic, partition and value of the records that were refused for their size."""
        return {
            (message.topic(), message.partition(), message.value())
            for error, message in self._failures
            if error.code() in OVERSIZE_CODES
        }

    def _require_connection(self) -> None:
        """Raise CommitError if a connection was lost since the transaction began: only a new epoch is safe then."""
        if self._lost:
            raise CommitError(f"the connection was lost ({self._lost[0]})")

    def _end(self) -> None:
        """Commit in short slices, to detect a lost connection at once."""
        until = self._clock() + min(COMMIT_TIMEOUT_S, self._left())
        while True:
            try:
                self._producer.commit_transaction(SLICE_S)
            except KafkaException as error:
                if code_of(error) != KafkaError._TIMED_OUT:
                    raise
            else:
                return
            self._producer.poll(0)
            self._require_connection()
            if self._clock() >= until:
                raise CommitError(f"no response within {COMMIT_TIMEOUT_S:g} s")


def _config(name: str, single: bool, failures: list[tuple[KafkaError, Message]], lost: list[str]) -> dict[str, Any]:
    return {
        "transactional.id": name,
        "transaction.timeout.ms": int(TRANSACTION_TIMEOUT_S * 1_000),
        "message.timeout.ms": DELIVERY_TIMEOUT_MS,
        "batch.size": BATCH_BYTES,
        "batch.num.messages": 1 if single else 10_000,
        "linger.ms": 2,
        "compression.type": "lz4",
        "queue.buffering.max.messages": QUEUE_MESSAGES,
        "queue.buffering.max.kbytes": QUEUE_KBYTES,
        "retry.backoff.ms": NO_RETRY_MS,
        "retry.backoff.max.ms": NO_RETRY_MS,
        "delivery.report.only.error": True,
        "on_delivery": partial(_note_delivery, failures),
        "error_cb": partial(_note_error, lost),
        "logger": _loss_logger(lost),
    }


def _note_delivery(failures: list[tuple[KafkaError, Message]], error: KafkaError | None, message: Message) -> None:
    if error is not None:
        failures.append((error, message))


def _note_error(lost: list[str], error: KafkaError) -> None:
    if error.code() in CONNECTION_LOST_CODES:
        lost.append(str(error))


class _LossHandler(logging.Handler):
    """Records failed connections: librdkafka logs that of the coordinator and reports it to no callback."""

    def __init__(self, lost: list[str]) -> None:
        super().__init__()
        self._lost = lost

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message.startswith("FAIL"):
            self._lost.append(message)
        client_log.log(record.levelno, message)


def _loss_logger(lost: list[str]) -> logging.Logger:
    # One logger per producer: a shared logger would record the losses of earlier ones.
    logger = logging.Logger(f"{client_log.name}.producer", logging.INFO)  # noqa: LOG001
    logger.addHandler(_LossHandler(lost))
    return logger
