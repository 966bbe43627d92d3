"""Decisions that fail to index are indexed once by a later run."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from elasticsearch import Elasticsearch

from include.contracts.errors import TransientError
from include.contracts.index_documents import PipelineEvent
from include.contracts.settings import ElasticsearchSettings, Settings
from include.supervise.decision_log import DecisionRecord
from include.supervise.observation import Observation, Unavailable
from include.supervise.policy import Decision
from showroom.tasks import pipeline

NOW = 1_795_000_000.0
UNAVAILABLE = Unavailable("no answer")


def record(minute: int, alert: str) -> DecisionRecord:
    at = NOW + 60 * minute
    seen = Observation(
        taken_at=at,
        flink=UNAVAILABLE,
        kafka=UNAVAILABLE,
        gate=UNAVAILABLE,
        elasticsearch=UNAVAILABLE,
        restore=UNAVAILABLE,
        input_flowing=False,
    )
    return DecisionRecord(
        at, seen, Decision("page" if alert else "wait", alert or "none", "why", "see", ()), outcome=None
    )


class Index:
    """Fake index: the stored events, and whether the index is available."""

    def __init__(self) -> None:
        self.events: list[PipelineEvent] = []
        self.is_unavailable = False

    def newest(self, _: Elasticsearch, kind: str) -> datetime | None:
        self._require_available()
        return max((event.at for event in self.events if event.kind == kind), default=None)

    def write(self, _: Elasticsearch, __: Settings, events: list[PipelineEvent]) -> int:
        self._require_available()
        self.events += events
        return len(events)

    def _require_available(self) -> None:
        if self.is_unavailable:
            raise TransientError("unavailable", "wait")

    def shown(self, kind: str) -> list[tuple[float, str]]:
        return [((event.at.timestamp() - NOW) / 60, event.name) for event in self.events if event.kind == kind]


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Index:
    index = Index()

    @contextmanager
    def connect(settings: ElasticsearchSettings) -> Iterator[Elasticsearch]:
        with Elasticsearch(settings.url) as client:
            yield client

    monkeypatch.setattr(pipeline, "connect", connect)
    monkeypatch.setattr(pipeline, "latest_event_time", index.newest)
    monkeypatch.setattr(pipeline, "write_events", index.write)
    return index


def test_outage_and_its_alert_are_indexed_afterwards_once(index: Index) -> None:
    decision_log: list[DecisionRecord] = []
    alerts = ["", "elasticsearch.unreachable", "elasticsearch.unreachable", "", ""]
    for minute, alert in enumerate(alerts):
        index.is_unavailable = minute in (1, 2)
        decision_log.insert(0, record(minute, alert))
        pipeline.index_missed_decisions(Settings().elasticsearch, decision_log)
        pipeline.index_missed_decisions(Settings().elasticsearch, decision_log)
    assert [at for at, _ in index.shown("decision")] == [0, 1, 2, 3, 4]
    assert index.shown("alert") == [(1, "elasticsearch.unreachable")]


def test_empty_index_gets_the_newest_decision_only(index: Index) -> None:
    pipeline.index_missed_decisions(Settings().elasticsearch, [record(minute, "") for minute in (2, 1, 0)])
    assert [at for at, _ in index.shown("decision")] == [2]


def test_decision_between_milliseconds_is_indexed_once(index: Index) -> None:
    odd = DecisionRecord(NOW + 0.0004, record(0, "").observation, record(0, "").decision, outcome=None)
    index.events = [
        PipelineEvent(
            at=datetime.fromtimestamp(NOW, UTC), kind="decision", stage="s", name="n", value=1, total=None, detail=None
        )
    ]
    pipeline.index_missed_decisions(Settings().elasticsearch, [odd])
    assert len(index.events) == 1
