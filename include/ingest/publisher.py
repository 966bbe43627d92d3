"""Producer of `sessions.raw`: each record is acknowledged or raises an error."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.producer.future import FutureRecordMetadata
from msgspec import Struct
from tenacity import wait_exponential

from include.clients.errors import with_retries
from include.clients.kafka import create_producer
from include.contracts.errors import SettingsError, TransientError
from include.contracts.settings import KafkaSettings
from include.contracts.topics import RAW
from include.ingest.labelled_record import LabelledRecord, partition_of

Pace = Literal["fast", "rate", "arrival"]
OnAcknowledged = Callable[[str, float], None]
OnProgress = Callable[[int, int], None]

MAX_IN_FLIGHT = 20_000
MAX_IN_FLIGHT_BYTES = 64 * 1024 * 1024
PATIENCE_S = 900.0
ACK_LOG_INTERVAL_S = 5.0
SETTLE_INTERVAL_RECORDS = 256
REMEDY_UNAVAILABLE = "start the stack with ./showroom up"
REMEDY_NOT_DELIVERED = "read Kafka's log and publish again: repeated session ids are refused as duplicates"

log = logging.getLogger(__name__)


class PublishReport(Struct, frozen=True, kw_only=True):
    """Counts of one publication. `acknowledged` equals `sent`, otherwise `publish` raises.

    `value_bytes` is the size of all values; `waited_s` is the time of long waits for Kafka; `first_at` and `last_at`
    are the broker's times in Unix seconds (None: nothing was sent).
    """

    sent: int
    acknowledged: int
    value_bytes: int
    seconds: float
    waited_s: float
    by_partition: dict[int, int]
    first_at: float | None
    last_at: float | None

    @property
    def per_s(self) -> float:
        """Records a second."""
        return self.sent / self.seconds if self.seconds else 0.0


class DeliveryError(TransientError):
    """Kafka did not acknowledge a record."""


def publish(
    settings: KafkaSettings,
    labelled_records: Iterable[LabelledRecord],
    *,
    rate: float | None = None,
    pace: Pace = "fast",
    patience_s: float = PATIENCE_S,
    on_acknowledged: OnAcknowledged | None = None,
    on_progress: OnProgress | None = None,
) -> PublishReport:
    """Send every record to `sessions.raw` in order, and wait until Kafka has acknowledged all.

    With `rate`, at most that many records a second are sent; with `pace="arrival"`, each at its `arrives_at`. While
    Kafka is unavailable the call retries, logs each attempt, and fails after `patience_s` without an acknowledgement.
    `on_acknowledged` receives a session id and the broker's time in Unix seconds. `on_progress` receives the numbers
    sent and acknowledged, periodically.

    Raises DeliveryError if a record could not be delivered, SettingsError if the topic has another number of partitions
    than the settings.
    """
    producer = _connect(settings, patience_s)
    try:
        partitions = _partitions(producer, settings)
        flight = _InFlight(producer, partitions, patience_s, on_acknowledged, on_progress)
        for labelled in _paced(labelled_records, "rate" if rate else pace, rate or 0.0, flight.settle):
            flight.send(labelled)
        return flight.flush()
    finally:
        producer.close(timeout=ACK_LOG_INTERVAL_S)


def _connect(settings: KafkaSettings, patience_s: float) -> KafkaProducer:
    """Return an idempotent producer as soon as Kafka is available."""
    try:
        return with_retries(
            lambda: _producer(settings, patience_s),
            wait=wait_exponential(multiplier=0.5, max=5),
            deadline_s=patience_s,
            retry_on=KafkaError,
            before_sleep=lambda state: log.warning(
                "waiting for Kafka: bootstrap=%s attempt=%d", settings.bootstrap_servers, state.attempt_number
            ),
        )
    except KafkaError as error:
        raise DeliveryError(
            f"publication failed: Kafka at {settings.bootstrap_servers} is unavailable ({error})", REMEDY_UNAVAILABLE
        ) from error


def _producer(settings: KafkaSettings, patience_s: float) -> KafkaProducer:
    return create_producer(
        settings.bootstrap_servers,
        client_id="ingest",
        acks="all",
        enable_idempotence=True,
        linger_ms=20,
        batch_size=256 * 1024,
        delivery_timeout_ms=int((patience_s + 60) * 1_000),
        request_timeout_ms=15_000,
        reconnect_backoff_max_ms=1_000,
        bootstrap_timeout_ms=3_000,
        max_block_ms=15_000,
        allow_auto_create_topics=False,
    )


def _partitions(producer: KafkaProducer, settings: KafkaSettings) -> int:
    try:
        count = len(producer.partitions_for(RAW))
    except KafkaError as error:
        raise DeliveryError(f"topic {RAW} does not exist ({error})", REMEDY_UNAVAILABLE) from error
    if count != settings.partitions:
        raise SettingsError(
            f"topic {RAW} has {count} partitions, SHOWROOM_KAFKA_PARTITIONS says {settings.partitions}",
            "set it to what the topic has: verdicts depend on it",
        )
    return count


def _paced(
    labelled_records: Iterable[LabelledRecord], pace: Pace, rate: float, idle: Callable[[], None]
) -> Iterator[LabelledRecord]:
    """Yield each record no earlier than its time; `idle` is called before each wait."""
    begun = time.time()
    for number, labelled in enumerate(labelled_records):
        if pace != "fast":
            due = begun + number / rate if pace == "rate" else labelled.arrives_at.timestamp()
            if due > time.time():
                idle()
            while (left := due - time.time()) > 0:
                time.sleep(min(left, 1.0))
        yield labelled


class _InFlight:
    """Unacknowledged records: at most `MAX_IN_FLIGHT` of them and `MAX_IN_FLIGHT_BYTES`."""

    def __init__(
        self,
        producer: KafkaProducer,
        partitions: int,
        patience_s: float,
        on_acknowledged: OnAcknowledged | None,
        on_progress: OnProgress | None,
    ) -> None:
        self._producer = producer
        self._partitions = partitions
        self._patience_s = patience_s
        self._on_acknowledged = on_acknowledged
        self._on_progress = on_progress
        self._waiting: deque[tuple[FutureRecordMetadata, str, int]] = deque()
        self._bytes = 0
        self._value_bytes = 0
        self._sent = 0
        self._acknowledged = 0
        self._waited_s = 0.0
        self._by_partition = dict.fromkeys(range(partitions), 0)
        self._first_at: float | None = None
        self._last_at: float | None = None
        self._begun = self._last_ack_at = time.monotonic()

    def send(self, labelled: LabelledRecord) -> None:
        """Pass one record to the producer; blocks while too many are unacknowledged."""
        size = len(labelled.value)
        while self._waiting and (len(self._waiting) >= MAX_IN_FLIGHT or self._bytes + size > MAX_IN_FLIGHT_BYTES):
            self._await_oldest()
        partition = partition_of(labelled.key, self._partitions)
        try:
            future = self._producer.send(RAW, value=labelled.value, key=labelled.key, partition=partition)
        except KafkaError as error:
            raise DeliveryError(
                f"Kafka accepted no record after {self._sent} ({error})", REMEDY_NOT_DELIVERED
            ) from error
        self._waiting.append((future, labelled.session_id, size))
        self._bytes += size
        self._value_bytes += size
        self._by_partition[partition] += 1
        self._sent += 1
        if self._sent % SETTLE_INTERVAL_RECORDS == 0:
            self.settle()

    def settle(self) -> None:
        """Count the records that were acknowledged since the last call."""
        now = time.monotonic()
        if not self._waiting or self._waiting[0][0].is_done:
            self._last_ack_at = now
        elif now - self._last_ack_at > ACK_LOG_INTERVAL_S:
            self._log_waiting(now)
        while self._waiting and self._waiting[0][0].is_done:
            self._account()
        if self._on_progress is not None:
            self._on_progress(self._sent, self._acknowledged)

    def flush(self) -> PublishReport:
        """Wait for all acknowledgements."""
        while self._waiting:
            self._await_oldest()
        self.settle()
        return PublishReport(
            sent=self._sent,
            acknowledged=self._acknowledged,
            value_bytes=self._value_bytes,
            seconds=time.monotonic() - self._begun,
            waited_s=self._waited_s,
            by_partition=self._by_partition,
            first_at=self._first_at,
            last_at=self._last_at,
        )

    def _await_oldest(self) -> None:
        """Wait for one acknowledgement, logging the wait.

        Raises:
            DeliveryError: No acknowledgement came in time.
        """
        started = time.monotonic()
        while not self._waiting[0][0].is_done:
            try:
                self._waiting[0][0].get(timeout=ACK_LOG_INTERVAL_S)
            except KafkaTimeoutError:
                if not self._waiting[0][0].is_done and time.monotonic() - started > self._patience_s:
                    raise DeliveryError(
                        f"no acknowledgement for {self._patience_s:.0f} s; {len(self._waiting)} records are in doubt",
                        REMEDY_NOT_DELIVERED,
                    ) from None
                self.settle()
            except KafkaError:
                break
        self.settle()

    def _log_waiting(self, now: float) -> None:
        self._waited_s += now - self._last_ack_at
        self._last_ack_at = now
        log.warning("waiting for Kafka: waited_s=%.0f unacknowledged=%d", self._waited_s, len(self._waiting))

    def _account(self) -> None:
        future, session_id, size = self._waiting.popleft()
        self._bytes -= size
        if future.failed():
            raise DeliveryError(
                f"Kafka rejected a record of session {session_id} ({future.exception!r})", REMEDY_NOT_DELIVERED
            )
        at = future.value.timestamp / 1_000
        self._acknowledged += 1
        self._first_at = at if self._first_at is None else min(self._first_at, at)
        self._last_at = at if self._last_at is None else max(self._last_at, at)
        if self._on_acknowledged is not None:
            self._on_acknowledged(session_id, at)
