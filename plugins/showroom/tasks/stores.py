"""Queries of reconciliation to Elasticsearch and MongoDB."""

from collections.abc import Collection, Mapping
from datetime import datetime

from elasticsearch import Elasticsearch
from pymongo.database import Database

from include.archive import queries as archive
from include.archive.retention import cutoff
from include.clients.mongodb import Document
from include.contracts.collections import watermark_id
from include.contracts.settings import Settings
from include.contracts.topics import VALID
from include.serving import queries as serving
from include.serving.arrivals import count_arrived, kpi_sessions, rows_by_session
from include.supervise.admitted_session import SessionKey
from include.supervise.missing_sessions import Lookup
from include.supervise.reconcile import BY_SESSION, HOUR, IN_MONGODB, oldest_month


class Stores:
    """The stores at the time `now`."""

    def __init__(self, settings: Settings, client: Elasticsearch, database: Database[Document], now: datetime) -> None:
        self._client, self._database = client, database
        self._partitions = settings.kafka.partitions
        self._retained_since = cutoff(settings.archive.retention_days, now)
        self.oldest_month = oldest_month(now, settings.elasticsearch.retention_months)

    def counts(self, hour: datetime) -> dict[str, int]:
        """Return store -> documents of the sessions that arrived in an hour; without MongoDB after its retention."""
        serving.refresh(self._client)
        end = hour + HOUR
        counts = {index: count_arrived(self._client, index, hour, end, self.oldest_month) for index in BY_SESSION}
        if self._retained_since is None or hour >= self._retained_since:
            counts[IN_MONGODB] = archive.count(self._database, hour, end)
        return counts

    def lookup(self, what: str) -> Lookup:
        """Return the lookup of single sessions in one store."""

        def indexed(keys: Collection[SessionKey]) -> Mapping[SessionKey, int]:
            rows = rows_by_session(self._client, what, {key.session_id for key in keys})
            return {SessionKey(*key): count for key, count in rows.items()}

        def archived(keys: Collection[SessionKey]) -> Mapping[SessionKey, int]:
            return {SessionKey(*key): 1 for key in archive.stored(self._database, keys)}

        return archived if what == IN_MONGODB else indexed

    def kpi_sessions(self, day: datetime) -> int:
        """Return the sessions in the minutes of one day of arrival."""
        serving.refresh(self._client)
        return kpi_sessions(self._client, f"{day:%Y-%m-%d}", self.oldest_month)

    def archived(self) -> dict[int, int]:
        """Return partition -> the archive's watermark."""
        marks = {mark.topic_partition: mark.offset for mark in archive.watermarks(self._database)}
        return {partition: marks.get(watermark_id(VALID, partition), 0) for partition in range(self._partitions)}
