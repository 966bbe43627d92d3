"""Where the pages read: every source gives its answer or says that it is away; nothing is written."""

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
from include.contracts import archive, keys
from include.contracts.errors import ShowroomError
from include.contracts.reasons import Reason
from include.contracts.settings import Settings
from include.gate.rejected import Query, RejectedRecord, find_rejected
from include.serving import panels
from include.serving.panels import Narrow, Panel, Table
from include.serving.queries import newest_by
from include.supervise.journal import Entry, Journal
from include.supervise.report import StageRow, stages
from showroom.pages.held import Held

TIMEOUT_S = 3.0
DECISIONS = 120
HOURS = 24
NEWEST_REJECTED = 20
REJECTED_TTL_S = 15.0

_T = TypeVar("_T")


@dataclass(frozen=True)
class Away:
    """A source that gave no answer: what happened, and what a person can do. One that is only `busy` may soon."""

    source: str
    message: str
    remedy: str
    busy: bool = True


class About(NamedTuple):
    """What a viewer may narrow by, and when the newest session reached the platform; None before the first."""

    choices: dict[str, list[str]]
    newest_at: datetime | None


def answer(source: str, ask: Callable[[], _T]) -> _T | Away:
    """What `ask` gives, or that its source is away or refuses."""
    try:
        return ask()
    except ShowroomError as error:
        return Away(source, error.message, error.remedy, busy=error.retry)


class Sources:
    """The servers behind the pages, each opened when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @classmethod
    def from_env(cls) -> "Sources":
        """Sources of the settings in the environment. Raises SettingsError."""
        return cls(Settings.from_env(os.environ))

    def panel(self, panel: Panel, narrow: Narrow) -> Table | Away:
        """The figures of one panel."""
        return answer("Elasticsearch", lambda: panels.ask(self._elasticsearch, panel, narrow))

    def about(self, narrow: Narrow) -> About | Away:
        """What there is to narrow by, and how new the newest session is."""
        return answer("Elasticsearch", lambda: self._about(narrow))

    def stages(self) -> list[StageRow] | Away:
        """The stages as they are now."""
        return answer("The report of the stages", lambda: stages(self.settings, self.flink_folder))

    @property
    def flink_folder(self) -> Path | None:
        """Flink's data folder, None where the settings do not name it."""
        return Path(self.settings.flink_state) if self.settings.flink_state else None

    def decisions(self) -> list[Entry] | Away:
        """The supervisor's newest decisions, newest first."""
        return answer("Redis", lambda: _newest_first(self._journal.last(DECISIONS)))

    def rejected(self) -> dict[Reason, int] | Away:
        """Records the gate has refused since its memory was new, by reason, most first."""
        return answer("Redis", self._count_rejected)

    def newest_rejected(self) -> list[RejectedRecord] | Away:
        """The records that the gate rejected last, newest first; read from Kafka at most every 15 s."""
        return self._newest_rejected.get()

    def reconciliations(self) -> list[dict[str, Any]] | Away:
        """Documents of the newest reconciled hours, newest first."""
        return answer("MongoDB", self._find_reconciliations)

    def _about(self, narrow: Narrow) -> About:
        choices = panels.choices(self._elasticsearch, narrow)
        newest = newest_by(self.quick_elasticsearch, datetime.now(UTC))
        return About(choices, newest.received_at if newest else None)

    @cached_property
    def _newest_rejected(self) -> Held[list[RejectedRecord] | Away]:
        query = Query(last=NEWEST_REJECTED)
        return Held(
            lambda: answer("Kafka", lambda: find_rejected(self.settings, query, TIMEOUT_S).records), REJECTED_TTL_S
        )

    @cached_property
    def _elasticsearch(self) -> Elasticsearch:
        return elasticsearch.connect(self.settings)

    @cached_property
    def _journal(self) -> Journal:
        return Journal(self.settings)

    @property
    def quick_elasticsearch(self) -> Elasticsearch:
        """A client that answers or fails within a few seconds."""
        return self._elasticsearch.options(request_timeout=panels.TIMEOUT_S, max_retries=0)

    @cached_property
    def redis(self) -> "Redis":
        """The gate's and the supervisor's Redis."""
        return redis.connect(self.settings.redis_url.reveal(), timeout_s=TIMEOUT_S)

    @cached_property
    def mongo(self) -> mongodb.Client:
        """The archive's MongoDB."""
        limit_ms = TIMEOUT_S * 1_000
        return mongodb.connect(self.settings.mongo_url.reveal(), server_selection_ms=limit_ms, timeout_ms=limit_ms)

    def _count_rejected(self) -> dict[Reason, int]:
        with redis.translate_errors("count of rejected records"), self.redis.pipeline(transaction=False) as pipe:
            for partition in range(self.settings.partitions):
                pipe.hmget(keys.counts(partition), list(Reason))
            rows = pipe.execute()
        sums = {reason: sum(int(row[place] or 0) for row in rows) for place, reason in enumerate(Reason)}
        return {reason: count for reason, count in sorted(sums.items(), key=lambda item: -item[1]) if count}

    def _find_reconciliations(self) -> list[dict[str, Any]]:
        collection = self.mongo[self.settings.mongo_database][archive.RECONCILIATIONS]
        with mongodb.translate_errors("read of the reconciliations"):
            return list(collection.find().sort("_id", pymongo.DESCENDING).limit(HOURS))


def _newest_first(entries: list[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: -entry.at)
