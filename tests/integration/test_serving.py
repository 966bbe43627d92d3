"""Queries on a real Elasticsearch with documents of known sums."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from elasticsearch import Elasticsearch

from include.clients.elasticsearch import connect
from include.contracts.errors import TerminalError, TransientError
from include.contracts.index_documents import INDICES, KpiMinute, index_name, older_index
from include.ingest.labelled_record import VALID, LabelledRecord
from include.serving import queries, retention
from include.serving.retention import drop_old
from include.serving.templates import ensure_templates
from local.stack import Stack
from local.verification.freshness import FreshnessProbe

MONTH = datetime(2051, 7, 1, tzinfo=UTC)
# No index of another test is that old.
MONTHS = 1_200


@pytest.fixture
def client(stack: Stack) -> Iterator[Elasticsearch]:
    with connect(stack.settings.elasticsearch) as opened:
        ensure_templates(opened, stack.settings.elasticsearch)
        yield opened
        opened.indices.delete(index=[f"{alias}-2051.07" for alias in INDICES], ignore_unavailable=True)


def put_kpi(client: Elasticsearch, minute: int, category: str, sessions: int, revenue: float) -> None:
    row = KpiMinute(
        minute=MONTH + timedelta(minutes=minute),
        category=category,
        arrival_date="2051-07-01",
        sessions=sessions,
        users=1,
        purchases=1,
        revenue=revenue,
        duration_s=30 * sessions,
        mean_duration_s=30.0,
        conversion=1 / sessions,
        late_sessions=1,
    )
    client.index(index=index_name("kpi_minute", MONTH), document=msgspec.to_builtins(row))


def put_session(client: Elasticsearch, document_id: str, received: datetime) -> None:
    document = {"session_id": document_id, "received_at": received.isoformat(), "started_at": received.isoformat()}
    client.index(index=index_name("session_summary", MONTH), id=document_id, document=document)


def test_ensure_templates_with_an_index_of_an_earlier_version_changes_nothing(
    client: Elasticsearch, stack: Stack
) -> None:
    client.indices.delete_index_template(name="session_summary")
    client.indices.create(index="kpi_minute-2051.07")
    client.indices.put_mapping(index="kpi_minute-2051.07", properties={"received_day": {"type": "keyword"}})

    with pytest.raises(TerminalError, match=r"kpi_minute-2051\.07 .* received_day .*: start the version"):
        ensure_templates(client, stack.settings.elasticsearch)

    assert not client.indices.exists_index_template(name="session_summary")


def test_kpi_by_category_sums_minutes_and_rows(client: Elasticsearch) -> None:
    for minute, category, sessions, revenue in (
        (0, "all", 4, 10.25),
        (0, "all", 1, 1.0),
        (1, "all", 5, 2.5),
        (1, "office", 2, 2.5),
        (9, "all", 99, 0.0),
    ):
        put_kpi(client, minute, category, sessions, revenue)
    queries.refresh(client)
    rows = queries.kpi_by_category(client, MONTH, MONTH + timedelta(minutes=9))
    assert rows == [
        queries.Kpi("all", 10, 3, 13.75, 0.3, 30.0, 3),
        queries.Kpi("office", 2, 1, 2.5, 0.5, 30.0, 1),
    ]
    assert queries.kpi_total(client, MONTH, MONTH + timedelta(minutes=9)) == rows[0]
    assert queries.kpi_total(client, MONTH + timedelta(days=9)).sessions == 0


def test_sessions_since_returns_each_session_once(client: Elasticsearch) -> None:
    arrivals = {f"probe-{number}": MONTH + timedelta(seconds=number) for number in range(5)}
    for document_id, received in arrivals.items():
        put_session(client, document_id, received)
    queries.refresh(client)
    since = MONTH + timedelta(seconds=1)
    first = queries.sessions_since(client, since, size=2)
    assert first == {"probe-1": arrivals["probe-1"], "probe-2": arrivals["probe-2"]}
    assert list(queries.sessions_since(client, since, seen=first)) == ["probe-3", "probe-4"]
    assert queries.latest_session(client) == queries.LatestSession("probe-4", arrivals["probe-4"])
    assert queries.latest_session_by(client, arrivals["probe-4"]) == queries.latest_session(client)
    # A clock skew of less than a minute is accepted; later sessions are ignored.
    latest = queries.latest_session_by(client, MONTH - timedelta(seconds=58))
    assert latest == queries.LatestSession("probe-2", arrivals["probe-2"])
    assert set(queries.documents(client, "session_summary", ["probe-0", "missing"])) == {"probe-0"}


def test_freshness_probe_finds_a_session_indexed_under_its_user(stack: Stack, client: Elasticsearch) -> None:
    document = {"received_at": MONTH.isoformat(), "session_id": "fresh-1", "user_id": "u-1"}
    name = index_name("session_summary", MONTH)
    client.index(index=name, id="u-1:fresh-1", document=document, refresh=True)
    probe = FreshnessProbe(stack.settings.elasticsearch)
    labelled = LabelledRecord(key=b"u-1", value=b"", arrives_at=MONTH, session_id="fresh-1", verdict=VALID)
    assert list(probe.watch([labelled])) == [labelled]
    probe.produced("fresh-1", time.time())
    with probe:
        fresh = probe.result(30)
    assert (fresh.sampled, fresh.lost) == (1, 0)
    assert set(probe.delays) == {"fresh-1"}


def test_queries_alias_without_index_returns_empty(client: Elasticsearch) -> None:
    assert queries.count(client, "no_such_alias") == 0


def test_index_unknown_field_is_rejected(client: Elasticsearch) -> None:
    with pytest.raises(Exception, match="strict_dynamic_mapping_exception"):
        client.index(index=index_name("session_summary", MONTH), document={"surprise": 1})


def test_queries_errors_are_transient_or_terminal(stack: Stack, client: Elasticsearch) -> None:
    with pytest.raises(TerminalError, match="400"):
        queries.count(client, "kpi_minute", {"no_such_query": {}})
    with (
        connect(stack.settings.replace(elasticsearch={"url": "http://127.0.0.1:9"}).elasticsearch) as unreachable,
        pytest.raises(TransientError, match="is unavailable"),
    ):
        queries.count(unreachable, "kpi_minute")


def test_drop_old_older_events_index_is_deleted_when_all_events_are_old(client: Elasticsearch) -> None:
    index = older_index("session_summary")
    client.indices.delete(index=index, ignore_unavailable=True)
    for document_id, started in (("old", "1931-01-01T00:00:00Z"), ("retained", "1960-01-01T00:00:00Z")):
        client.index(index=index, id=document_id, document={"session_id": document_id, "started_at": started})
    try:
        assert index not in drop_old(client, MONTHS, MONTH, dry_run=False)
        client.delete(index=index, id="retained")
        assert index in drop_old(client, MONTHS, MONTH)
        assert client.indices.exists(index=index)
        assert index in drop_old(client, MONTHS, MONTH, dry_run=False)
        assert not client.indices.exists(index=index)
    finally:
        client.indices.delete(index=index, ignore_unavailable=True)


@pytest.fixture
def older_events(client: Elasticsearch) -> Iterator[str]:
    """An index of older events, one of which is retained."""
    index = older_index("session_summary")
    client.indices.delete(index=index, ignore_unavailable=True)
    event = {"session_id": "retained", "started_at": "1960-01-01T00:00:00Z"}
    client.index(index=index, id="retained", document=event)
    yield index
    client.indices.delete(index=index, ignore_unavailable=True)


def require_writable(client: Elasticsearch, index: str) -> None:
    client.index(index=index, document={"started_at": "1960-01-01T00:00:00Z"}, timeout="1s")


def test_drop_old_after_a_killed_run_lifts_the_write_block(client: Elasticsearch, older_events: str) -> None:
    client.indices.add_block(index=older_events, block="write")
    assert older_events not in drop_old(client, MONTHS, MONTH, dry_run=False)
    require_writable(client, older_events)


def test_drop_old_interrupted_while_blocked_lifts_the_write_block(
    client: Elasticsearch, older_events: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    responses = iter([0])

    def end_on_second_call(*_: object) -> int:
        for response in responses:
            return response
        raise SystemExit

    monkeypatch.setattr(retention, "_count_retained", end_on_second_call)
    with pytest.raises(SystemExit):
        drop_old(client, MONTHS, MONTH, dry_run=False)
    require_writable(client, older_events)
