"""Every panel's question on a real Elasticsearch equals what is known of the day, number for number."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from elasticsearch import Elasticsearch

from include.clients.elasticsearch import connect
from include.contracts.documents import INDICES, index_name
from include.contracts.errors import TerminalError, TransientError
from include.ingest.emission import VALID
from include.serving import queries
from include.serving.panels import Narrow, Panel, ask, choices, find, load
from include.serving.pipeline import write
from include.serving.templates import ensure_templates
from local.stack import Stack
from tests.known_day import END, QUOTED, START, Day, known_day
from tests.known_rounds import events
from tests.panel_answers import DOCUMENTS, FIGURES, NOT_TOLD, TABLES, Dated
from tests.panel_truths import Shown
from tests.valid_sessions import expected_kpis

HOUR, HALF_HOUR, FIVE_MINUTES = 3_600, 1_800, 300
DAY = Narrow(since=START, until=END)
MORNING = Narrow(since=START + timedelta(hours=6), until=START + timedelta(hours=12))
NEVER = Narrow(since=START - timedelta(days=400), until=START - timedelta(days=399))

VIEWS: dict[str, tuple[Narrow, int]] = {
    "the day": (DAY, HALF_HOUR),
    "a morning": (MORNING, FIVE_MINUTES),
    "two days": (msgspec.structs.replace(DAY, since=START - timedelta(days=1)), HOUR),
    "a category": (msgspec.structs.replace(DAY, category="living_room"), HALF_HOUR),
    "a category of quotes and emoji": (msgspec.structs.replace(DAY, category=QUOTED), HALF_HOUR),
    "a device": (msgspec.structs.replace(DAY, device="mobile"), HALF_HOUR),
    "everything at once": (
        msgspec.structs.replace(MORNING, category="bedroom", device="desktop", referrer="google"),
        FIVE_MINUTES,
    ),
    "what is not there": (msgspec.structs.replace(DAY, category="*", referrer="x OR *:*"), HALF_HOUR),
    "a day without anything": (NEVER, HALF_HOUR),
}
PANELS = sorted({*FIGURES, *TABLES, *DOCUMENTS})


@dataclass(frozen=True)
class Loaded:
    """The day, and the Elasticsearch that holds it."""

    day: Day
    client: Elasticsearch


@pytest.fixture(scope="module")
def loaded(stack: Stack) -> Iterator[Loaded]:
    settings = stack.settings
    day = known_day(settings)
    with connect(settings) as client:
        ensure_templates(client, settings)
        send(client, day.bulk)
        rows = expected_kpis(day.sessions, settings.late_after_s)
        kpis = [({"index": {"_index": kpi_index(row), "_id": key}}, row) for key, row in rows.items()]
        send(client, b"".join(msgspec.json.encode(line) + b"\n" for pair in kpis for line in pair))
        for batch in events(day):
            write(client, settings, batch)
        queries.refresh(client)
        yield Loaded(day, client)
        client.indices.delete(index=[f"{alias}-2054.06" for alias in INDICES], ignore_unavailable=True)


def send(client: Elasticsearch, body: Any) -> None:
    answer = client.bulk(body=body)
    assert not answer["errors"], answer


def kpi_index(row: dict[str, Any]) -> str:
    return index_name("kpi_minute", datetime.fromisoformat(row["minute"]))


def test_the_day_is_what_the_ledger_says(loaded: Loaded) -> None:
    expected, extra = loaded.day.ledger.expected, loaded.day.extra
    own = [session for session in loaded.day.sessions if session not in extra]
    assert len(own) == expected.valid
    assert sum(session.purchase.made for session in own) == expected.purchases
    assert sum(round(session.purchase.amount * 100) for session in own) == expected.revenue * 100
    assert len({session.user_id for session in own}) == expected.unique_users
    june = {"range": {"started_at": {"gte": "2054-06-01", "lt": "2054-07-01"}}}
    found = {alias: queries.count(loaded.client, alias, june) for alias in ("session_summary", "product_details")}
    assert found["session_summary"] == expected.documents["session_summary"] + len(extra)
    assert found["product_details"] == expected.documents["product_details"] + sum(len(one.views) for one in extra)


def test_the_stream_finds_the_sentiments_that_were_planted(loaded: Loaded) -> None:
    extra = {session.session_id for session in loaded.day.extra}
    query = {"bool": {"must_not": [{"terms": {"session_id": sorted(extra)}}]}}
    aggs = {"label": {"terms": {"field": "label"}}}
    answer = loaded.client.search(index="product_sentiment", size=0, query=query, aggs=aggs)
    found = {bucket["key"]: bucket["doc_count"] for bucket in answer["aggregations"]["label"]["buckets"]}
    assert found == loaded.day.ledger.expected.sentiments


def test_the_whole_day_s_rejects_are_the_ledger_s(loaded: Loaded) -> None:
    rows = ask(loaded.client, find("pipeline-reasons"), DAY).rows
    found: Counter[str] = Counter()
    for reason, _, records in rows:
        found[reason] += records or 0
    verdicts = loaded.day.ledger.expected.verdicts
    assert dict(found) == {reason: count for reason, count in verdicts.items() if reason != VALID}


def test_every_panel_that_asks_has_its_truth() -> None:
    assert [panel.id for panel in asking() if panel.id not in PANELS] == []
    assert [name for name in PANELS if name not in {panel.id for panel in asking()}] == []


def asking() -> list[Panel]:
    return [panel for board in load().values() for panel in board.panels if panel.index]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", sorted({*FIGURES, *TABLES}))
def test_a_panel_shows_the_truth(loaded: Loaded, name: str, view: str) -> None:
    narrow, width = VIEWS[view]
    panel, shown = find(name), Shown(loaded.day, narrow, width)
    expected = [[FIGURES[name](shown)]] if name in FIGURES else TABLES[name](shown)
    table = ask(loaded.client, panel, narrow)
    dimensions = sum(column.role == "dimension" for column in panel.columns)
    assert [row[:dimensions] for row in table.rows] == [row[:dimensions] for row in expected]
    for row, truth in zip(table.rows, expected, strict=True):
        assert row[dimensions:] == [near(number) for number in truth[dimensions:]], row[:dimensions]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_table_shows_the_newest_documents(loaded: Loaded, name: str, view: str) -> None:
    narrow, width = VIEWS[view]
    panel, (size, documents) = find(name), DOCUMENTS[name]
    expected = documents(Shown(loaded.day, narrow, width))
    rows = ask(loaded.client, panel, narrow).rows
    left_out = [place for place, column in enumerate(panel.columns) if column.key in NOT_TOLD.get(name, ())]
    found = [
        (datetime.fromisoformat(row[0]), [cell for place, cell in enumerate(row) if place and place not in left_out])
        for row in rows
    ]
    assert len(found) == min(size, len(expected))
    assert [at for at, _ in found] == sorted((at for at, _ in expected), reverse=True)[: len(found)]
    # Of those at one time, any may come first, and any may be the last that fits.
    assert not Counter(map(line, found)) - Counter(map(line, expected))


def near(number: float | None) -> Any:
    """Sums of doubles differ in their last bits by the order in which they were added up."""
    return None if number is None else pytest.approx(number, rel=1e-12, abs=1e-9)


def line(dated: Dated) -> str:
    return f"{dated[0].astimezone(UTC)} {dated[1]}"


def test_the_values_to_narrow_by_are_those_of_the_time(loaded: Loaded) -> None:
    found = choices(loaded.client, DAY)
    shown = Shown(loaded.day, DAY, HALF_HOUR)
    assert set(found["category"]) == {category for session in shown.every for category in session.categories}
    assert QUOTED in found["category"]
    assert set(found["device"]) == {session.device.type for session in shown.every}
    assert found["referrer"][0] == Counter(session.referrer for session in shown.every).most_common(1)[0][0]
    assert choices(loaded.client, NEVER) == {"category": [], "device": [], "referrer": []}


@pytest.mark.parametrize("name", PANELS)
def test_before_the_first_document_every_panel_is_empty(stack: Stack, name: str) -> None:
    panel = msgspec.structs.replace(find(name), index=f"no-such-{find(name).index}")
    with connect(stack.settings) as client:
        rows = ask(client, panel, DAY).rows
    assert rows in ([], [[None]], [[0.0]])


def test_errors_say_whether_to_try_again(stack: Stack) -> None:
    with (
        connect(stack.settings.replace(elasticsearch_url="http://127.0.0.1:9")) as nobody,
        pytest.raises(TransientError, match="is unavailable"),
    ):
        ask(nobody, find("shop-sessions"), DAY)
    with connect(stack.settings) as client, pytest.raises(TerminalError, match="shows no figures"):
        ask(client, find("shop-links"), DAY)


def test_an_index_of_another_mapping_is_an_error_that_names_the_panel(stack: Stack) -> None:
    properties = {"started_at": {"type": "date"}, "purchase_amount": {"type": "text"}}
    panel = msgspec.structs.replace(find("shop-sales"), index="session_of_another_mapping")
    with connect(stack.settings) as client:
        client.indices.create(index=panel.index, mappings={"properties": properties})
        try:
            client.index(index=panel.index, document={"started_at": START, "purchase_amount": "x"}, refresh=True)
            with pytest.raises(TerminalError, match="panel shop-sales failed: Elasticsearch returned 400"):
                ask(client, panel, DAY)
        finally:
            client.indices.delete(index=panel.index)
