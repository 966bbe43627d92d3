"""Pipeline events on a real Elasticsearch, and fields that are new in this version."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from elasticsearch import BadRequestError, Elasticsearch
from msgspec.structs import replace

from include.clients.elasticsearch import connect
from include.contracts.errors import TerminalError, TransientError
from include.contracts.index_documents import INDICES, PIPELINE, PipelineEvent, index_name, mapping
from include.contracts.settings import Settings
from include.serving.pipeline_events import latest_event_time, write_events
from include.serving.templates import ensure_templates
from local.stack import Stack

AT = datetime(2053, 4, 30, 23, 59, tzinfo=UTC)
RAW = PipelineEvent(at=AT, kind="stage", stage="ingest", name="raw", value=0, total=100, detail=None)
LAG = PipelineEvent(at=AT, kind="lag", stage="gate", name="gate", value=7, total=None, detail=None)
MONTHS = ("2053.04", "2053.05")


@pytest.fixture
def client(stack: Stack) -> Iterator[Elasticsearch]:
    with connect(stack.settings.elasticsearch) as opened:
        yield opened
        names = [f"{alias}-{month}" for alias in INDICES for month in MONTHS]
        opened.indices.delete(index=names, ignore_unavailable=True)


def stored(client: Elasticsearch) -> list[tuple[str, float, float | None]]:
    client.indices.refresh(index=f"{PIPELINE}-*")
    query = {"range": {"at": {"gte": AT.isoformat()}}}
    hits = client.search(index=PIPELINE, query=query, sort=[{"at": "asc"}, {"kind": "desc"}], size=100)["hits"]["hits"]
    return [(hit["_id"][:16], hit["_source"]["value"], hit["_source"]["total"]) for hit in hits]


def later(minutes: int, total: float) -> PipelineEvent:
    return replace(RAW, at=AT + timedelta(minutes=minutes), total=total)


def test_write_events_across_months_sums_to_the_total(client: Elasticsearch, settings: Settings) -> None:
    assert write_events(client, settings.elasticsearch, [RAW, LAG]) == 2
    assert write_events(client, settings.elasticsearch, [later(1, 130)]) == 1
    assert write_events(client, settings.elasticsearch, [later(2, 130)]) == 0
    assert latest_event_time(client, "stage") == later(1, 130).at
    assert latest_event_time(client, "alert") is None
    # The gate's state was lost: its counters restart at 0.
    assert write_events(client, settings.elasticsearch, [later(3, 5)]) == 1
    assert write_events(client, settings.elasticsearch, [later(4, 25)]) == 1
    expected = [
        ("2053-04-30T23:59", 100.0, 100.0),
        ("2053-04-30T23:59", 7.0, None),
        ("2053-05-01T00:00", 30.0, 130.0),
        ("2053-05-01T00:02", 0.0, 5.0),
        ("2053-05-01T00:03", 20.0, 25.0),
    ]
    assert stored(client) == expected
    # Writing an event again replaces it, also when later events exist.
    write_events(client, settings.elasticsearch, [later(1, 130)])
    write_events(client, settings.elasticsearch, [RAW, LAG])
    assert stored(client) == expected


def test_write_events_deleted_month_keeps_the_total(client: Elasticsearch, settings: Settings) -> None:
    write_events(client, settings.elasticsearch, [RAW])
    assert write_events(client, settings.elasticsearch, [later(1, 100)]) == 1
    client.indices.delete(index=index_name(PIPELINE, AT))
    assert write_events(client, settings.elasticsearch, [later(2, 100)]) == 0
    assert stored(client) == [("2053-05-01T00:00", 0.0, 100.0)]


def test_write_events_missing_template_is_created(client: Elasticsearch, settings: Settings) -> None:
    client.indices.delete_index_template(name=PIPELINE)
    try:
        write_events(client, settings.elasticsearch, [LAG])
    finally:
        ensure_templates(client, settings.elasticsearch)
    index = client.indices.get(index=index_name(PIPELINE, AT))[index_name(PIPELINE, AT)]
    assert index["mappings"]["properties"] == mapping(PipelineEvent)["properties"]
    assert index["mappings"]["dynamic"] == "strict"
    assert list(index["aliases"]) == [PIPELINE]


def test_write_events_errors_are_transient_or_terminal(client: Elasticsearch, settings: Settings) -> None:
    ensure_templates(client, settings.elasticsearch)
    with pytest.raises(TerminalError, match="rejected 1 of 1 events"):
        write_events(client, settings.elasticsearch, [replace(LAG, detail="x" * 40_000)])
    with (
        connect(settings.replace(elasticsearch={"url": "http://127.0.0.1:9"}).elasticsearch) as unreachable,
        pytest.raises(TransientError, match="is unavailable"),
    ):
        write_events(unreachable, settings.elasticsearch, [LAG])


def test_ensure_templates_adds_missing_fields_to_existing_indices(client: Elasticsearch, settings: Settings) -> None:
    name = index_name("product_details", AT)
    whole = mapping(INDICES["product_details"])["properties"]
    earlier = {field: kind for field, kind in whole.items() if field != "last_action"} | {"price": {"type": "keyword"}}
    client.options(ignore_status=404).indices.delete_index_template(name="product_details")
    client.indices.create(index=name, mappings={"dynamic": "strict", "properties": earlier})
    with pytest.raises(BadRequestError, match="strict_dynamic_mapping_exception"):
        client.index(index=name, document={"last_action": "search"})

    ensure_templates(client, settings.elasticsearch)

    client.index(index=name, document={"last_action": "search"})
    # A field of another type is not changed; the others are added.
    assert client.indices.get_mapping(index=name)[name]["mappings"]["properties"] == earlier | {
        "last_action": {"type": "keyword"}
    }
