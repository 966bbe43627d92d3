"""Count check: compares the count of every stage with the ground truth.

The demo prints the result, the end-to-end tests assert it. All counts are relative to a `Baseline`,
so that a platform with earlier sessions can be checked too.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from kafka import KafkaConsumer, TopicPartition
from tenacity import wait_fixed

from include.archive import queries as archived
from include.archive import store
from include.clients.elasticsearch import connect
from include.clients.errors import with_retries
from include.clients.kafka import create_consumer
from include.contracts import topics
from include.contracts.errors import NotReadyError, TransientError
from include.contracts.index_documents import STREAM_INDICES
from include.contracts.reject_reasons import Reason
from include.contracts.settings import ElasticsearchSettings, KafkaSettings, MongodbSettings, Settings
from include.ingest.expected_counts import ExpectedCounts
from include.serving import queries
from local.program import nothing

KPI = "kpi_minute"
CENT = 0.005
READ_TIMEOUT_MS = 10_000
EMPTY_POLLS = 30

Offsets = dict[TopicPartition, int]


@dataclass(frozen=True)
class Baseline:
    """Counts before a load: end offsets of the topics, documents of the indices, sums of kpi_minute.

    `archived` is None unless the archive was requested.
    """

    offsets: Offsets
    documents: dict[str, int]
    revenue: float
    kpi: queries.Kpi
    archived: int | None = None


@dataclass(frozen=True)
class StageCount:
    """Expected and actual count of one stage."""

    stage: str
    what: str
    expected: float
    actual: float

    @property
    def difference(self) -> float:
        """Return actual minus expected; amounts within half a cent count as equal."""
        gap = self.actual - self.expected
        return 0 if abs(gap) < CENT else gap


class _Id(msgspec.Struct, frozen=True):
    user_id: str
    session_id: str


def take_baseline(settings: Settings, *, archive: bool = False) -> Baseline:
    """Return the current counts, with `archive` those of MongoDB too.

    Raises:
        TransientError: A server is unavailable.
    """
    with _consumer(settings.kafka) as consumer, connect(settings.elasticsearch) as client:
        queries.refresh(client)
        return Baseline(
            offsets=consumer.end_offsets(_topic_partitions(settings.kafka)),
            documents=queries.counts(client),
            revenue=queries.sum_revenue(client),
            kpi=queries.kpi_total(client),
            archived=_count_archived(settings.mongodb) if archive else None,
        )


def wait_until_indexed(
    settings: ElasticsearchSettings,
    expected: ExpectedCounts,
    since: Baseline,
    stall_timeout_s: float,
    on_progress: Callable[[int], None] | None = None,
    check: Callable[[], None] = nothing,
) -> None:
    """Wait until the indices contain the expected documents.

    `on_progress` receives the number of indexed sessions. `check` is called before each count.

    Raises:
        NotReadyError: no count has changed for `patience_s`; the count check then reports the missing documents.
        TerminalError: as `check` raises it.
    """
    stall = _StallDetector(stall_timeout_s)

    def require_indexed() -> None:
        check()
        with connect(settings) as client:
            queries.refresh(client)
            documents, kpi = queries.counts(client), queries.kpi_total(client)
        indexed = documents["session_summary"] - since.documents["session_summary"]
        if on_progress:
            on_progress(indexed)
        required = {name: count for name, count in expected.documents.items() if name != KPI}
        results = {name: documents[name] - since.documents[name] for name in required}
        sessions = kpi.sessions - since.kpi.sessions
        stall.observe((tuple(results.values()), sessions))
        if results != required or sessions != expected.valid:
            raise NotReadyError("documents are missing", "wait")

    def is_retried(error: BaseException) -> bool:
        return isinstance(error, TransientError) and not stall.is_stalled

    try:
        with_retries(require_indexed, wait=wait_fixed(1.0), retry_on=is_retried)
    except TransientError as error:
        raise NotReadyError(
            f"no count changed for {stall_timeout_s:g} s", "see ./showroom status and the count check"
        ) from error


def compare_counts(
    settings: Settings, expected: ExpectedCounts, since: Baseline, *, archive: bool = False
) -> list[StageCount]:
    """Compare every stage with the ground truth, from raw topic to indices.

    Reads the topics from `since` to their ends.

    With `archive`, MongoDB as well, whose sessions `since` must have counted.
    """
    raw = sum(1 for _ in read_since(settings.kafka, topics.RAW, since))
    ids = Counter(
        msgspec.json.decode(record.value, type=_Id) for record in read_since(settings.kafka, topics.VALID, since)
    )
    rejected = Counter(
        header_text(record, topics.HEADER_REASON) for record in read_since(settings.kafka, topics.REJECTED, since)
    )
    dead = sum(1 for _ in read_since(settings.kafka, topics.DEAD, since))
    with connect(settings.elasticsearch) as client:
        queries.refresh(client)
        documents, revenue, kpi = queries.counts(client), queries.sum_revenue(client), queries.kpi_total(client)
    lines = [
        StageCount("ingest", topics.RAW, expected.produced, raw),
        StageCount("gate", topics.VALID, expected.valid, ids.total()),
        StageCount("gate", "… duplicated", 0, ids.total() - len(ids)),
    ]
    lines += [
        StageCount("gate", f"rejected: {reason}", expected.verdicts.get(reason, 0), rejected[reason])
        for reason in Reason
        if expected.verdicts.get(reason, 0) or rejected[reason]
    ]
    lines += [
        StageCount("stream", name, expected.documents[name], documents[name] - since.documents[name])
        for name in STREAM_INDICES
        if name != KPI
    ]
    if archive:
        lines.append(
            StageCount(
                "archive",
                "sessions in MongoDB",
                expected.valid,
                _count_archived(settings.mongodb) - (since.archived or 0),
            )
        )
    return [
        *lines,
        StageCount("stream", "session_summary: revenue", float(expected.revenue), round(revenue - since.revenue, 4)),
        StageCount("stream", f"{KPI}: sessions", expected.valid, kpi.sessions - since.kpi.sessions),
        StageCount("stream", f"{KPI}: purchases", expected.purchases, kpi.purchases - since.kpi.purchases),
        StageCount("stream", f"{KPI}: revenue", float(expected.revenue), round(kpi.revenue - since.kpi.revenue, 4)),
        StageCount("stream", topics.DEAD, 0, dead),
    ]


class _StallDetector:
    """Detects that an observation has not changed for `timeout_s`."""

    def __init__(self, stall_timeout_s: float) -> None:
        self._timeout_s = stall_timeout_s
        self._last: Any = None
        self._since = time.monotonic()

    def observe(self, observation: Any) -> None:
        if observation != self._last:
            self._last, self._since = observation, time.monotonic()

    @property
    def is_stalled(self) -> bool:
        return time.monotonic() - self._since > self._timeout_s


def read_since(settings: KafkaSettings, topic: str, since: Baseline) -> Iterator[Any]:
    """Yield committed records of a topic from the position to the topic's end at the call, in bounded memory."""
    topic_partitions = [topic_partition for topic_partition in since.offsets if topic_partition.topic == topic]
    with _consumer(settings) as consumer:
        consumer.assign(topic_partitions)
        ends = consumer.end_offsets(topic_partitions)
        for topic_partition in topic_partitions:
            consumer.seek(topic_partition, since.offsets[topic_partition])
        empty = 0
        while any(consumer.position(topic_partition) < ends[topic_partition] for topic_partition in topic_partitions):
            polled = consumer.poll(timeout_ms=READ_TIMEOUT_MS // EMPTY_POLLS)
            empty = 0 if polled else empty + 1
            if empty > EMPTY_POLLS:
                raise TransientError(f"{topic} cannot be read to its end", "check Kafka with ./showroom status")
            for records in polled.values():
                yield from records


def _count_archived(settings: MongodbSettings) -> int:
    with store.connect(settings) as client:
        return archived.count(store.database(client, settings))


def header_text(record: Any, name: str) -> str:
    """Return a header of a record as text; empty if it is missing."""
    return next((value.decode() for key, value in record.headers if key == name), "")


def _topic_partitions(settings: KafkaSettings) -> list[TopicPartition]:
    return [
        TopicPartition(topic, partition)
        for topic in (topics.RAW, topics.VALID, topics.REJECTED, topics.DEAD)
        for partition in range(settings.partitions)
    ]


def _consumer(settings: KafkaSettings) -> KafkaConsumer:
    return create_consumer(settings.bootstrap_servers)
