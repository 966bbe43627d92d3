"""Synthetic past hours on a real Kafka, Elasticsearch and MongoDB that every stage has processed."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from elasticsearch import Elasticsearch, helpers
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from pymongo.database import Database

from include.archive import documents, watermark
from include.archive.source import describe
from include.clients.mongodb import Document
from include.contracts import topics
from include.contracts.collections import RECONCILIATIONS, SESSIONS
from include.contracts.dead_letters import DeadLetter, Origin
from include.contracts.errors import TerminalError, TransientError
from include.contracts.index_documents import index_name
from include.contracts.session import ValidSession
from include.contracts.settings import Settings
from include.provision.topics import ensure_topics
from include.supervise.kafka_counts import committed, end_offsets
from include.supervise.reconcile import HOUR
from showroom.tasks.reconciliation_run import ReconciliationRun
from showroom.tasks.reconciliation_store import ReconciliationStore
from showroom.tasks.stores import Stores
from tests.integration.supervision.conftest import commit_to_end
from tests.polling import eventually
from tests.valid_sessions import valid_session, viewed
from tests.valid_topic import put

VIEWS = [viewed(), viewed(product_id="p02", review=""), viewed(product_id="p03", review=None)]
READERS = ((topics.GATE_GROUP, topics.RAW), (topics.STREAM_GROUP, topics.VALID), (topics.KPI_GROUP, topics.VALID))


def let_raw_records_be_old(settings: Settings) -> None:
    """Let producers set the arrival time of raw records, so that tests can create past hours."""
    with KafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers) as admin:
        config = {"message.timestamp.type": "CreateTime"}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topics.RAW, config)])


class ShopHour:
    """One hour: its sessions, and methods to store, lose and count them."""

    def __init__(
        self, settings: Settings, producer: KafkaProducer, client: Elasticsearch, database: Database[Document],
        start: datetime,
    ) -> None:  # fmt: skip
        self.settings, self.start = settings, start
        self._producer, self._client, self.database = producer, client, database
        self.entries = ReconciliationStore(database)
        self.close(start - HOUR)

    def close(self, hour: datetime) -> None:
        """Store an hour without sessions as balanced."""
        evidence = {"raw": 0, "rejected": {}, "months": {}, "bounds": {}}
        entry = {"state": "balanced", "balanced": True, "lines": [], "has_evidence": True, "evidence": evidence}
        self.database[RECONCILIATIONS].replace_one({"_id": hour.isoformat()}, entry, upsert=True)

    def sessions(self, number: int, **changes: Any) -> list[ValidSession]:
        """Return sessions that arrived in the hour: three products each, one of them with a review."""
        arrivals = [self.start + timedelta(seconds=5 + n) for n in range(number)]
        return [
            valid_session(
                **{
                    "session_id": f"{self.start:%d-%H}-{n}",
                    "started_at": at - timedelta(minutes=9),
                    "received_at": at,
                    "views": VIEWS,
                }
                | changes
            )
            for n, at in enumerate(arrivals)
        ]

    def gate(self, sessions: Sequence[ValidSession], rejected: int = 0) -> None:
        """Produce their raw records and rejected ones, with the gate's outputs."""
        at = int(self.start.timestamp() * 1_000) + 5_000
        for n in range(len(sessions)):
            self._producer.send(topics.RAW, b"x", key=b"u", partition=n % 2, timestamp_ms=at + n * 1_000)
        self._producer.flush()
        put(self.settings, sessions)
        for n in range(rejected):
            topic_partition = self._producer.send(topics.RAW, b"x", partition=n % 2, timestamp_ms=at + 600_000 + n).get(
                timeout=30
            )
            self.reject(topic_partition.partition, topic_partition.offset)
        self._producer.flush()

    def reject(self, partition: int, offset: int) -> None:
        headers = {
            topics.HEADER_REASON: "empty",
            topics.HEADER_TOPIC: topics.RAW,
            topics.HEADER_PARTITION: str(partition),
            topics.HEADER_OFFSET: str(offset),
        }
        encoded = [(name, value.encode()) for name, value in headers.items()]
        self._producer.send(topics.REJECTED, b"x", partition=partition, headers=encoded)

    def pass_all(self, short: int = 0) -> None:
        """Commit the ends for all readers, except for the last offsets of partition 0."""
        for group, topic in READERS:
            commit_to_end(self.settings, group, topic, short)
        commit_to_end(self.settings, topics.KPI_ROWS_GROUP, topics.KPI)
        described = describe(self.settings.kafka, topics.VALID)
        archived = committed(self.settings.kafka, topics.STREAM_GROUP, topics.VALID)
        watermark.advance(self.database, topics.VALID, described.topic_id, archived)

    def index(self, sessions: Sequence[ValidSession]) -> None:
        """Return their documents, with the counted fields only."""
        actions = [action for session in sessions for action in rows_of(session)]
        helpers.bulk(self._client, actions, refresh=True)

    def count_minutes(self, sessions: Sequence[ValidSession]) -> None:
        """Return the rows of `kpi_minute`, one per session."""
        day = f"{self.start:%Y-%m-%d}"
        for session in sessions:
            row = {"minute": session.started_at, "category": "all", "arrival_date": day, "sessions": 1}
            name = index_name("kpi_minute", session.started_at)
            self._client.index(index=name, id=session.session_id, document=row, refresh=True)

    def archive(self, sessions: Sequence[ValidSession]) -> None:
        self.database[SESSIONS].insert_many([documents.document(session) for session in sessions])

    def lose(self, alias: str, session: ValidSession) -> None:
        """Delete one document of a session from an index."""
        hits = self._client.search(index=alias, query={"term": {"session_id": session.session_id}})["hits"]["hits"]
        self._client.delete(index=hits[0]["_index"], id=hits[0]["_id"], refresh=True)

    def bury(self, session: ValidSession) -> None:
        """Produce a dead letter of the session's summary, twice."""
        dead_letter = DeadLetter(
            index="session_summary-2026.11",
            id=session.session_id,
            reason="refused",
            document=msgspec.json.encode(
                {"session_id": session.session_id, "user_id": session.user_id, "received_at": session.received_at}
            ).decode(),
            truncated=False,
            origin=Origin(topic=topics.VALID, partition=0, offset=0),
        )
        for _ in range(2):
            self._producer.send(topics.DEAD, msgspec.json.encode(dead_letter))
        self._producer.flush()

    def delete_valid(self) -> None:
        """Delete every record of `sessions.valid`, as retention does."""
        ends = end_offsets(self.settings.kafka, topics.VALID)
        with KafkaAdminClient(bootstrap_servers=self.settings.kafka.bootstrap_servers) as admin:
            admin.delete_records({TopicPartition(topics.VALID, number): end for number, end in ends.items()})

    def recreate_valid(self) -> None:
        """Delete and recreate the topic `sessions.valid`, empty."""
        before = describe(self.settings.kafka, topics.VALID).topic_id
        with KafkaAdminClient(bootstrap_servers=self.settings.kafka.bootstrap_servers) as admin:
            admin.delete_topics([topics.VALID])
        eventually(lambda: self._is_another_topic(before), within_s=60)

    def _is_another_topic(self, before: str) -> bool:
        try:
            ensure_topics(self.settings.kafka)
            return describe(self.settings.kafka, topics.VALID).topic_id != before
        except (TransientError, TerminalError):
            return False

    def traffic(self) -> None:
        """Produce sessions of the next hour, which no stage has read, as the current load."""
        later = [
            valid_session(
                session_id=f"now-{self.start:%d-%H}-{n}", received_at=self.start + HOUR + timedelta(seconds=n)
            )
            for n in range(40)
        ]
        put(self.settings, later)

    def run(self, after: timedelta = timedelta(hours=1, minutes=20)) -> list[dict[str, Any]]:
        """Run reconciliation, by default at twenty past the next hour."""
        now = self.start + after
        return ReconciliationRun(
            self.settings, Stores(self.settings, self._client, self.database, now), self.entries
        ).due(now)


def rows_of(session: ValidSession) -> list[dict[str, Any]]:
    """Return the bulk actions of a session."""
    shared = {
        "session_id": session.session_id,
        "user_id": session.user_id,
        "started_at": session.started_at.astimezone(UTC),
        "received_at": session.received_at.astimezone(UTC),
    }
    identity = f"{session.user_id}:{session.session_id}"
    rows = [("session_summary", identity)]
    for position, view in enumerate(session.views):
        rows.append(("product_details", f"{identity}:{position}"))
        if view.review:
            rows.append(("product_sentiment", f"{identity}:{position}"))
    return [{"_index": index_name(alias, session.started_at), "_id": row, "_source": shared} for alias, row in rows]
