"""Rounds on their way to the Pipeline dashboard: what could not be told is told by a later round, once."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from elasticsearch import Elasticsearch

from include.contracts.documents import PipelineEvent
from include.contracts.errors import TransientError
from include.contracts.settings import Settings
from include.supervise.decision_log import Entry
from include.supervise.observation import Away, Observation
from include.supervise.policy import Decision
from showroom.tasks import pipeline

NOW = 1_795_000_000.0
GONE = Away("no answer")


def entry(place: int, alarm: str) -> Entry:
    at = NOW + 60 * place
    seen = Observation(
        taken_at=at, flink=GONE, kafka=GONE, gate=GONE, elasticsearch=GONE, restore=GONE, input_flowing=False
    )
    return Entry(at, seen, Decision("page" if alarm else "wait", alarm or "none", "why", "see", ()), outcome=None)


class Index:
    """What is stored, and whether the index answers."""

    def __init__(self) -> None:
        self.events: list[PipelineEvent] = []
        self.away = False

    def newest(self, _: Elasticsearch, kind: str) -> datetime | None:
        self._answer()
        return max((event.at for event in self.events if event.kind == kind), default=None)

    def write(self, _: Elasticsearch, __: Settings, events: list[PipelineEvent]) -> int:
        self._answer()
        self.events += events
        return len(events)

    def _answer(self) -> None:
        if self.away:
            raise TransientError("away", "wait")

    def shown(self, kind: str) -> list[tuple[float, str]]:
        return [((event.at.timestamp() - NOW) / 60, event.name) for event in self.events if event.kind == kind]


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Index:
    found = Index()

    @contextmanager
    def connect(settings: Settings) -> Iterator[Elasticsearch]:
        with Elasticsearch(settings.elasticsearch_url) as client:
            yield client

    monkeypatch.setattr(pipeline, "connect", connect)
    monkeypatch.setattr(pipeline, "newest", found.newest)
    monkeypatch.setattr(pipeline, "write", found.write)
    return found


def test_an_outage_and_its_alarm_are_told_afterwards_and_once(index: Index) -> None:
    journal: list[Entry] = []
    alarms = ["", "serving.away", "serving.away", "", ""]
    for place, alarm in enumerate(alarms):
        index.away = place in (1, 2)
        journal.insert(0, entry(place, alarm))
        pipeline.tell_rounds(Settings(), journal)
        pipeline.tell_rounds(Settings(), journal)
    assert [at for at, _ in index.shown("decision")] == [0, 1, 2, 3, 4]
    assert index.shown("alarm") == [(1, "serving.away")]


def test_into_an_empty_index_goes_the_newest_round_only(index: Index) -> None:
    pipeline.tell_rounds(Settings(), [entry(place, "") for place in (2, 1, 0)])
    assert [at for at, _ in index.shown("decision")] == [2]


def test_a_time_between_milliseconds_is_not_told_twice(index: Index) -> None:
    odd = Entry(NOW + 0.0004, entry(0, "").observation, entry(0, "").decision, outcome=None)
    index.events = [
        PipelineEvent(
            at=datetime.fromtimestamp(NOW, UTC), kind="decision", stage="s", name="n", value=1, total=None, detail=None
        )
    ]
    pipeline.tell_rounds(Settings(), [odd])
    assert len(index.events) == 1
