"""Every panel's query on a real Elasticsearch returns the reference result for the golden day."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from elasticsearch import Elasticsearch

from include.clients.elasticsearch import connect
from include.contracts.errors import TerminalError, TransientError
from include.contracts.index_documents import INDICES, index_name
from include.dashboards.model import Filters, Panel
from include.dashboards.panels import filter_choices, find_panel, load_dashboards, query_panel
from include.ingest.labelled_record import VALID
from include.serving import queries
from include.serving.pipeline_events import write_events
from include.serving.templates import ensure_templates
from local.stack import Stack
from tests.expected_panels import DOCUMENTS, METRICS, NOT_COMPARED, TABLES, Dated
from tests.golden_cycles import events
from tests.golden_day import END, QUOTED, START, Day, golden_day
from tests.panel_reference import Selection
from tests.valid_sessions import expected_kpis

HOUR, HALF_HOUR, FIVE_MINUTES = 3_600, 1_800, 300
DAY = Filters(since=START, until=END)
MORNING = Filters(since=START + timedelta(hours=6), until=START + timedelta(hours=12))
WITHOUT_DATA = Filters(since=START - timedelta(days=400), until=START - timedelta(days=399))

VIEWS: dict[str, tuple[Filters, int]] = {
    "the day": (DAY, HALF_HOUR),
    "a morning": (MORNING, FIVE_MINUTES),
    "two days": (msgspec.structs.replace(DAY, since=START - timedelta(days=1)), HOUR),
    "a category": (msgspec.structs.replace(DAY, category="living_room"), HALF_HOUR),
    "a category of quotes and emoji": (msgspec.structs.replace(DAY, category=QUOTED), HALF_HOUR),
    "a device": (msgspec.structs.replace(DAY, device="mobile"), HALF_HOUR),
    "all filters": (
        msgspec.structs.replace(MORNING, category="bedroom", device="desktop", referrer="google"),
        FIVE_MINUTES,
    ),
    "values without documents": (msgspec.structs.replace(DAY, category="*", referrer="x OR *:*"), HALF_HOUR),
    "a day without data": (WITHOUT_DATA, HALF_HOUR),
}
PANELS = sorted({*METRICS, *TABLES, *DOCUMENTS})


@dataclass(frozen=True)
class Loaded:
    """The golden day, and the Elasticsearch with its documents."""

    day: Day
    client: Elasticsearch


@pytest.fixture(scope="module")
def loaded(stack: Stack) -> Iterator[Loaded]:
    settings = stack.settings
    day = golden_day(settings)
    with connect(settings.elasticsearch) as client:
        ensure_templates(client, settings.elasticsearch)
        send(client, day.bulk)
        rows = expected_kpis(day.sessions, settings.stream.lateness_threshold_s)
        kpis = [({"index": {"_index": kpi_index(row), "_id": key}}, row) for key, row in rows.items()]
        send(client, b"".join(msgspec.json.encode(line) + b"\n" for pair in kpis for line in pair))
        for batch in events(day):
            write_events(client, settings.elasticsearch, batch)
        queries.refresh(client)
        yield Loaded(day, client)
        client.indices.delete(index=[f"{alias}-2054.06" for alias in INDICES], ignore_unavailable=True)


def send(client: Elasticsearch, body: Any) -> None:
    response = client.bulk(body=body)
    assert not response["errors"], response


def kpi_index(row: dict[str, Any]) -> str:
    return index_name("kpi_minute", datetime.fromisoformat(row["minute"]))


def test_indices_match_the_ground_truth(loaded: Loaded) -> None:
    expected, extra = loaded.day.ledger.expected, loaded.day.extra
    own = [session for session in loaded.day.sessions if session not in extra]
    assert len(own) == expected.valid
    assert sum(session.purchase.made for session in own) == expected.purchases
    assert sum(round(session.purchase.amount * 100) for session in own) == expected.revenue * 100
    assert len({session.user_id for session in own}) == expected.unique_users
    june = {"range": {"started_at": {"gte": "2054-06-01", "lt": "2054-07-01"}}}
    results = {alias: queries.count(loaded.client, alias, june) for alias in ("session_summary", "product_details")}
    assert results["session_summary"] == expected.documents["session_summary"] + len(extra)
    assert results["product_details"] == expected.documents["product_details"] + sum(
        len(session.views) for session in extra
    )


def test_predicted_sentiments_match_the_ground_truth(loaded: Loaded) -> None:
    extra = {session.session_id for session in loaded.day.extra}
    query = {"bool": {"must_not": [{"terms": {"session_id": sorted(extra)}}]}}
    aggs = {"label": {"terms": {"field": "label"}}}
    response = loaded.client.search(index="product_sentiment", size=0, query=query, aggs=aggs)
    results = {bucket["key"]: bucket["doc_count"] for bucket in response["aggregations"]["label"]["buckets"]}
    assert results == loaded.day.ledger.expected.sentiments


def test_reject_reasons_match_the_ground_truth(loaded: Loaded) -> None:
    rows = query_panel(loaded.client, find_panel("pipeline-reasons"), DAY).rows
    results: Counter[str] = Counter()
    for reason, _, records in rows:
        results[reason] += records or 0
    verdicts = loaded.day.ledger.expected.verdicts
    assert dict(results) == {reason: count for reason, count in verdicts.items() if reason != VALID}


def test_panels_with_data_have_a_reference() -> None:
    assert [panel.id for panel in panels_with_data() if panel.id not in PANELS] == []
    assert [name for name in PANELS if name not in {panel.id for panel in panels_with_data()}] == []


def panels_with_data() -> list[Panel]:
    return [panel for dashboard in load_dashboards().values() for panel in dashboard.panels if panel.index]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", sorted({*METRICS, *TABLES}))
def test_query_panel_returns_the_reference_result(loaded: Loaded, name: str, view: str) -> None:
    filters, width = VIEWS[view]
    panel, selection = find_panel(name), Selection(loaded.day, filters, width)
    expected = [[METRICS[name](selection)]] if name in METRICS else TABLES[name](selection)
    table = query_panel(loaded.client, panel, filters)
    dimensions = sum(column.role == "dimension" for column in panel.columns)
    assert [row[:dimensions] for row in table.rows] == [row[:dimensions] for row in expected]
    for row, expected_row in zip(table.rows, expected, strict=True):
        assert row[dimensions:] == [near(number) for number in expected_row[dimensions:]], row[:dimensions]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_query_panel_returns_the_newest_documents(loaded: Loaded, name: str, view: str) -> None:
    filters, width = VIEWS[view]
    panel, (size, documents) = find_panel(name), DOCUMENTS[name]
    expected = documents(Selection(loaded.day, filters, width))
    rows = query_panel(loaded.client, panel, filters).rows
    skipped = [number for number, column in enumerate(panel.columns) if column.key in NOT_COMPARED.get(name, ())]
    results = [
        (datetime.fromisoformat(row[0]), [cell for number, cell in enumerate(row) if number and number not in skipped])
        for row in rows
    ]
    assert len(results) == min(size, len(expected))
    assert [at for at, _ in results] == sorted((at for at, _ in expected), reverse=True)[: len(results)]
    # Documents with the same time have no defined order.
    assert not Counter(map(line, results)) - Counter(map(line, expected))


def near(number: float | None) -> Any:
    """Compare approximately, because the order of additions changes the last bits of a sum."""
    return None if number is None else pytest.approx(number, rel=1e-12, abs=1e-9)


def line(dated: Dated) -> str:
    return f"{dated[0].astimezone(UTC)} {dated[1]}"


def test_filter_choices_are_those_of_the_time_range(loaded: Loaded) -> None:
    result = filter_choices(loaded.client, DAY)
    selection = Selection(loaded.day, DAY, HALF_HOUR)
    assert set(result["category"]) == {category for session in selection.every for category in session.categories}
    assert QUOTED in result["category"]
    assert set(result["device"]) == {session.device.type for session in selection.every}
    assert result["referrer"][0] == Counter(session.referrer for session in selection.every).most_common(1)[0][0]
    assert filter_choices(loaded.client, WITHOUT_DATA) == {"category": [], "device": [], "referrer": []}


@pytest.mark.parametrize("name", PANELS)
def test_query_panel_missing_index_returns_no_data(stack: Stack, name: str) -> None:
    panel = msgspec.structs.replace(find_panel(name), index=f"no-such-{find_panel(name).index}")
    with connect(stack.settings.elasticsearch) as client:
        rows = query_panel(client, panel, DAY).rows
    assert rows in ([], [[None]], [[0.0]])


def test_query_panel_errors_are_transient_or_terminal(stack: Stack) -> None:
    with (
        connect(stack.settings.replace(elasticsearch={"url": "http://127.0.0.1:9"}).elasticsearch) as unreachable,
        pytest.raises(TransientError, match="is unavailable"),
    ):
        query_panel(unreachable, find_panel("shop-sessions"), DAY)
    with connect(stack.settings.elasticsearch) as client, pytest.raises(TerminalError, match="has no index"):
        query_panel(client, find_panel("shop-links"), DAY)


def test_query_panel_unexpected_mapping_raises_an_error_with_the_panel(stack: Stack) -> None:
    properties = {"started_at": {"type": "date"}, "purchase_amount": {"type": "text"}}
    panel = msgspec.structs.replace(find_panel("shop-sales"), index="session_of_another_mapping")
    with connect(stack.settings.elasticsearch) as client:
        client.indices.create(index=panel.index, mappings={"properties": properties})
        try:
            client.index(index=panel.index, document={"started_at": START, "purchase_amount": "x"}, refresh=True)
            with pytest.raises(TerminalError, match="panel shop-sales failed: Elasticsearch returned 400"):
                query_panel(client, panel, DAY)
        finally:
            client.indices.delete(index=panel.index)
