"""Events of the pipeline on a real Elasticsearch; and fields that are new in this version."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from elasticsearch import BadRequestError, Elasticsearch
from msgspec.structs import replace

from include.clients.elasticsearch import connect
from include.contracts.documents import INDICES, PIPELINE, PipelineEvent, index_name, mapping
from include.contracts.errors import TerminalError, TransientError
from include.contracts.settings import Settings
from include.serving.pipeline import newest, write
from include.serving.templates import ensure_templates
from local.stack import Stack

AT = datetime(2053, 4, 30, 23, 59, tzinfo=UTC)
RAW = PipelineEvent(at=AT, kind="stage", stage="ingest", name="raw", value=0, total=100, detail=None)
LAG = PipelineEvent(at=AT, kind="lag", stage="gate", name="gate", value=7, total=None, detail=None)
MONTHS = ("2053.04", "2053.05")


@pytest.fixture
def client(stack: Stack) -> Iterator[Elasticsearch]:
    with connect(stack.settings) as opened:
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


def test_totals_grow_over_a_month_s_end_and_add_up(client: Elasticsearch, settings: Settings) -> None:
    assert write(client, settings, [RAW, LAG]) == 2
    assert write(client, settings, [later(1, 130)]) == 1
    assert write(client, settings, [later(2, 130)]) == 0
    assert newest(client, "stage") == later(1, 130).at
    assert newest(client, "alarm") is None
    # The gate's memory was lost: its counts begin anew.
    assert write(client, settings, [later(3, 5)]) == 1
    assert write(client, settings, [later(4, 25)]) == 1
    expected = [
        ("2053-04-30T23:59", 100.0, 100.0),
        ("2053-04-30T23:59", 7.0, None),
        ("2053-05-01T00:00", 30.0, 130.0),
        ("2053-05-01T00:02", 0.0, 5.0),
        ("2053-05-01T00:03", 20.0, 25.0),
    ]
    assert stored(client) == expected
    # A round that is told again finds itself, also when others came after it.
    write(client, settings, [later(1, 130)])
    write(client, settings, [RAW, LAG])
    assert stored(client) == expected


def test_a_month_that_is_dropped_takes_no_total_along(client: Elasticsearch, settings: Settings) -> None:
    write(client, settings, [RAW])
    assert write(client, settings, [later(1, 100)]) == 1
    client.indices.delete(index=index_name(PIPELINE, AT))
    assert write(client, settings, [later(2, 100)]) == 0
    assert stored(client) == [("2053-05-01T00:00", 0.0, 100.0)]


def test_without_a_template_one_is_made_before_the_first_event(client: Elasticsearch, settings: Settings) -> None:
    client.indices.delete_index_template(name=PIPELINE)
    try:
        write(client, settings, [LAG])
    finally:
        ensure_templates(client, settings)
    made = client.indices.get(index=index_name(PIPELINE, AT))[index_name(PIPELINE, AT)]
    assert made["mappings"]["properties"] == mapping(PipelineEvent)["properties"]
    assert made["mappings"]["dynamic"] == "strict"
    assert list(made["aliases"]) == [PIPELINE]


def test_errors_say_whether_to_try_again(client: Elasticsearch, settings: Settings) -> None:
    ensure_templates(client, settings)
    with pytest.raises(TerminalError, match="refused 1 of 1 events"):
        write(client, settings, [replace(LAG, detail="x" * 40_000)])
    with (
        connect(settings.replace(elasticsearch_url="http://127.0.0.1:9")) as nobody,
        pytest.raises(TransientError, match="is unavailable"),
    ):
        write(nobody, settings, [LAG])


def test_an_index_that_exists_gets_the_fields_it_lacks(client: Elasticsearch, settings: Settings) -> None:
    name = index_name("product_details", AT)
    whole = mapping(INDICES["product_details"])["properties"]
    earlier = {field: kind for field, kind in whole.items() if field != "last_action"} | {"price": {"type": "keyword"}}
    client.options(ignore_status=404).indices.delete_index_template(name="product_details")
    client.indices.create(index=name, mappings={"dynamic": "strict", "properties": earlier})
    with pytest.raises(BadRequestError, match="strict_dynamic_mapping_exception"):
        client.index(index=name, document={"last_action": "search"})

    ensure_templates(client, settings)

    client.index(index=name, document={"last_action": "search"})
    # A field of another type is nothing that can be put right: it stays, and the rest works.
    assert client.indices.get_mapping(index=name)[name]["mappings"]["properties"] == earlier | {
        "last_action": {"type": "keyword"}
    }
