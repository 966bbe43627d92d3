"""Data sources of the pages: each method returns its result or a `SourceFailure`. Nothing is written."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pymongo
from elasticsearch import Elasticsearch
from redis import Redis

from include.clients import elasticsearch, mongodb, redis
from include.contracts import collections, redis_keys
from include.contracts.errors import ShowroomError
from include.contracts.reject_reasons import Reason
from include.contracts.settings import Settings
from include.dashboards import panels
from include.dashboards.model import Filters, Panel, Table
from include.gate.rejected import Query, RejectedRecord, find_rejected
from include.serving.queries import latest_session_by
from include.supervise.decision_log import DecisionLog, DecisionRecord
from include.supervise.stage_status import StageRow, stages
from showroom.web.cache import cached_value

TIMEOUT_S = 3.0
MAX_DECISIONS = 120
MAX_RECONCILIATIONS = 24
MAX_REJECTED_RECORDS = 20
REJECTED_TTL_S = 15.0

_T = TypeVar("_T")


@dataclass(frozen=True)
class SourceFailure:
    """A failed read: the source, the cause and the remedy. A transient failure can end without an action."""

    source: str
    message: str
    remedy: str
    is_transient: bool = True

    @classmethod
    def from_error(cls, source: str, error: ShowroomError) -> "SourceFailure":
        """Return the failure of a source that raised an error."""
        return cls(source, error.message, error.remedy, is_transient=error.retry)


class Overview(NamedTuple):
    """Filter choices, and the arrival time of the latest session; None before the first session."""

    choices: dict[str, list[str]]
    latest_at: datetime | None


def read_source(source: str, read: Callable[[], _T]) -> _T | SourceFailure:
    """Return the result of `read`, or the error that it raised as a failure of `source`."""
    try:
        return read()
    except ShowroomError as error:
        return SourceFailure.from_error(source, error)


class DataSources:
    """Clients of the servers behind the pages, each created at its first use."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @classmethod
    def from_env(cls) -> "DataSources":
        """Read the settings from the environment. Raises SettingsError."""
        return cls(Settings.from_env(os.environ))

    def panel(self, panel: Panel, filters: Filters) -> Table | SourceFailure:
        """Query one panel."""
        return read_source("Elasticsearch", lambda: panels.query_panel(self._elasticsearch, panel, filters))

    def overview(self, filters: Filters) -> Overview | SourceFailure:
        """Return the filter choices and the arrival time of the latest session."""
        return read_source("Elasticsearch", lambda: self._load_overview(filters))

    def stages(self) -> list[StageRow] | SourceFailure:
        """Return the current state of all stages."""
        return read_source("The stage report", lambda: stages(self.settings, self.flink_folder))

    @property
    def flink_folder(self) -> Path | None:
        """Flink's data folder; None if the settings do not name it."""
        return Path(self.settings.flink.state_dir) if self.settings.flink.state_dir else None

    def decisions(self) -> list[DecisionRecord] | SourceFailure:
        """Return the supervisor's latest decisions, newest first."""
        return read_source("Redis", lambda: _newest_first(self._decision_log.last(MAX_DECISIONS)))

    def rejected(self) -> dict[Reason, int] | SourceFailure:
        """Count the rejected records by reason, most frequent first, since the gate's state was created."""
        return read_source("Redis", self._count_rejected)

    def newest_rejected(self) -> list[RejectedRecord] | SourceFailure:
        """Return the latest rejected records, newest first; read from Kafka at most every 15 s."""
        return self._newest_rejected()

    def reconciliations(self) -> list[dict[str, Any]] | SourceFailure:
        """Return the documents of the latest reconciled hours, newest first."""
        return read_source("MongoDB", self._find_reconciliations)

    def _load_overview(self, filters: Filters) -> Overview:
        choices = panels.filter_choices(self._elasticsearch, filters)
        latest = latest_session_by(self.quick_elasticsearch, datetime.now(UTC))
        return Overview(choices, latest.received_at if latest else None)

    @cached_property
    def _newest_rejected(self) -> Callable[[], list[RejectedRecord] | SourceFailure]:
        query = Query(last=MAX_REJECTED_RECORDS)
        return cached_value(
            lambda: read_source("Kafka", lambda: find_rejected(self.settings.kafka, query, TIMEOUT_S).records),
            REJECTED_TTL_S,
        )

    @cached_property
    def _elasticsearch(self) -> Elasticsearch:
        return elasticsearch.connect(self.settings.elasticsearch)

    @cached_property
    def _decision_log(self) -> DecisionLog:
        return DecisionLog(self.settings.redis)

    @property
    def quick_elasticsearch(self) -> Elasticsearch:
        """Elasticsearch client with a timeout of a few seconds and without retries."""
        return self._elasticsearch.options(request_timeout=panels.TIMEOUT_S, max_retries=0)

    @cached_property
    def redis(self) -> "Redis":
        """Redis of the gate and the supervisor."""
        return redis.connect(self.settings.redis.url.reveal(), timeout_s=TIMEOUT_S)

    @cached_property
    def mongo(self) -> mongodb.Client:
        """MongoDB of the archive."""
        limit_ms = TIMEOUT_S * 1_000
        return mongodb.connect(self.settings.mongodb.url.reveal(), server_selection_ms=limit_ms, timeout_ms=limit_ms)

    def _count_rejected(self) -> dict[Reason, int]:
        with redis.translate_errors("count of rejected records"), self.redis.pipeline(transaction=False) as pipe:
            for partition in range(self.settings.kafka.partitions):
                pipe.hmget(redis_keys.counts(partition), list(Reason))
            rows = pipe.execute()
        sums = {reason: sum(int(row[position] or 0) for row in rows) for position, reason in enumerate(Reason)}
        return {reason: count for reason, count in sorted(sums.items(), key=lambda item: -item[1]) if count}

    def _find_reconciliations(self) -> list[dict[str, Any]]:
        collection = self.mongo[self.settings.mongodb.database][collections.RECONCILIATIONS]
        with mongodb.translate_errors("read of the reconciliations"):
            return list(collection.find().sort("_id", pymongo.DESCENDING).limit(MAX_RECONCILIATIONS))


def _newest_first(entries: list[DecisionRecord]) -> list[DecisionRecord]:
    return sorted(entries, key=lambda entry: -entry.at)
