"""The generated 14 days of documents are consistent, and panel latency is measured on them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

import pytest
from elasticsearch import Elasticsearch

from benchmarks import fill_indices, panels
from include.clients.elasticsearch import connect
from include.contracts.index_documents import INDICES, PIPELINE
from include.dashboards.panels import find_panel, query_panel
from include.serving.templates import ensure_templates
from local.stack import Stack

END = datetime(2055, 8, 20, tzinfo=UTC)
SESSIONS = 900


@pytest.fixture
def client(stack: Stack) -> Iterator[Elasticsearch]:
    with connect(stack.settings.elasticsearch) as opened:
        ensure_templates(opened, stack.settings.elasticsearch)
        yield opened
        opened.indices.delete(index=[f"{alias}-2055.08" for alias in INDICES], ignore_unavailable=True)


def test_fill_counts_agree_and_panels_are_measured(
    client: Elasticsearch, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = fill_indices._events
    monkeypatch.setattr(fill_indices, "_events", lambda end, seed: islice(events(end, seed), 600))
    monkeypatch.setattr(fill_indices, "OF_A_DAY", 50)
    messages: list[str] = []
    filled = fill_indices.fill(client, stack.settings, sessions=SESSIONS, end=END, seed=3, on_progress=messages.append)

    assert abs(filled[fill_indices.SUMMARY] - SESSIONS) <= 50
    assert filled[PIPELINE] == 600
    filters = panels._filters(END, panels.SPANS["fortnight"], 0)
    sessions = filled[fill_indices.SUMMARY]
    # A session may have started the day before its arrival.
    assert query_panel(client, find_panel("shop-sessions"), filters).rows[0][0] == pytest.approx(sessions, rel=0.05)
    assert (
        query_panel(client, find_panel("pipeline-searchable"), filters).rows
        == query_panel(client, find_panel("shop-sessions"), filters).rows
    )
    assert 1 < sessions / query_panel(client, find_panel("shop-users"), filters).rows[0][0] < fill_indices.VISITS + 1

    took = panels._panel(client, find_panel("shop-week"), END, repeats=3)
    assert 0 < took["day_p50_ms"] <= took["day_p95_ms"]


def test_rank_returns_the_nearest_rank_quantile() -> None:
    assert panels._rank([5.0, 1.0, 4.0, 2.0, 3.0], 0.5) == 3.0
    assert panels._rank([float(number) for number in range(1, 21)], 0.95) == 19.0
    assert panels._rank([7.0], 0.95) == 7.0
