"""The sink on a real Elasticsearch: stores, waits, splits, and gives back what is refused."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

import pytest
from elasticsearch import Elasticsearch

from flink.bulk import Item, item_of
from flink.sink import BulkSink
from include.contracts.documents import INDICES, KpiMinute, ProductDetails
from include.contracts.settings import Settings
from include.local.stack import Stack
from include.serving import queries
from include.serving.client import connect
from include.serving.templates import ensure_templates
from include.supervise.elasticsearch_probe import probe_elasticsearch
from tests.polling import eventually

MONTH = datetime(2041, 5, 1, tzinfo=UTC)
INDEX = "product_details-2041.05"


@pytest.fixture
def client(stack: Stack) -> Iterator[Elasticsearch]:
    with connect(stack.settings) as opened:
        ensure_templates(opened, stack.settings)
        yield opened
        opened.indices.delete(index=[f"{alias}-2041.05" for alias in INDICES], ignore_unavailable=True)


@pytest.fixture
def small(stack: Stack) -> Settings:
    return stack.settings.replace(bulk_documents=100)


def details(number: int) -> Item:
    document = ProductDetails(
        session_id=f"bulk-{number}",
        user_id="u",
        started_at=MONTH,
        received_at=MONTH,
        position=0,
        product_id="p01",
        name="Sofa",
        category="living_room",
        price=1.0,
        seconds=1,
        device_type="mobile",
        country=None,
        referrer="google",
        last_action="search",
        purchase_made=False,
    )
    return item_of(number, "product_details", f"bulk-{number}:0", document, MONTH)


def kpi(sessions: int) -> Item:
    document = KpiMinute(
        minute=MONTH,
        category="all",
        received_day="2041-05-01",
        sessions=sessions,
        users=1,
        purchases=0,
        revenue=0.0,
        duration_s=1,
        mean_duration_s=1.0,
        conversion=0.0,
        late_sessions=0,
    )
    return item_of(0, "kpi_minute", "row", document, MONTH, version=sessions)


def stored(client: Elasticsearch) -> int:
    client.indices.refresh(index=INDEX, ignore_unavailable=True)
    return queries.count(client, "product_details", {"term": {"user_id": "u"}})


def test_each_document_is_stored_once_however_often_it_is_sent(client: Elasticsearch, small: Settings) -> None:
    items = [details(number) for number in range(1_050)]
    with BulkSink(small) as sink:
        assert sink.store(items) == []
        assert sink.store(items[:300]) == []
    assert stored(client) == 1_050


def test_a_refused_document_comes_back_with_the_reason_and_the_others_are_stored(
    client: Elasticsearch, small: Settings
) -> None:
    odd = details(3)._replace(lines=details(3).lines.replace(b'"position":0', b'"surprise":0'))
    wrong = details(4)._replace(lines=details(4).lines.replace(b'"position":0', b'"position":"first"'))
    with BulkSink(small) as sink:
        refused = sink.store([details(1), details(2), odd, wrong, details(5)])
    assert [refusal.item for refusal in refused] == [odd, wrong]
    assert "strict_dynamic_mapping_exception" in refused[0].reason
    assert "document_parsing_exception" in refused[1].reason
    assert stored(client) == 3


def test_a_request_elasticsearch_cannot_read_is_narrowed_down_to_its_document(
    client: Elasticsearch, small: Settings
) -> None:
    nonsense = details(7)._replace(lines=b'{"index":{"no_such_parameter":1}}\n{}\n')
    items = [details(number) for number in range(20)]
    items[7] = nonsense
    with BulkSink(small) as sink:
        refused = sink.store(items)
    assert [refusal.item for refusal in refused] == [nonsense]
    assert stored(client) == 19


@contextmanager
def write_blocked(client: Elasticsearch) -> Iterator[None]:
    """A write block, as a snapshot, a shrink or an administrator sets it."""
    client.indices.put_settings(index=INDEX, settings={"index.blocks.write": True})
    try:
        yield
    finally:
        client.indices.put_settings(index=INDEX, settings={"index.blocks.write": None})


@contextmanager
def closed(client: Elasticsearch) -> Iterator[None]:
    client.indices.close(index=INDEX)
    try:
        yield
    finally:
        client.indices.open(index=INDEX)


@contextmanager
def shard_limit_reached(client: Elasticsearch) -> Iterator[None]:
    """The month's first document cannot create its index."""
    client.indices.delete(index=INDEX)
    client.cluster.put_settings(persistent={"cluster.max_shards_per_node": 1})
    try:
        yield
    finally:
        client.cluster.put_settings(persistent={"cluster.max_shards_per_node": None})


@contextmanager
def index_missing(client: Elasticsearch) -> Iterator[None]:
    client.indices.delete(index=INDEX)
    client.cluster.put_settings(persistent={"action.auto_create_index": "false"})
    try:
        yield
    finally:
        client.cluster.put_settings(persistent={"action.auto_create_index": None})


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (write_blocked, "cluster_block_exception"),
        (closed, "index_closed_exception"),
        (shard_limit_reached, "maximum normal shards open"),
        (index_missing, "index_not_found_exception"),
    ],
)
def test_store_while_an_index_takes_no_documents_waits_then_stores_all(
    client: Elasticsearch,
    small: Settings,
    state: Callable[[Elasticsearch], AbstractContextManager[None]],
    error: str,
) -> None:
    small = small.replace(bulk_documents=10)
    with BulkSink(small) as sink, ThreadPoolExecutor(1) as aside:
        assert sink.store([details(0), kpi(1)]) == []
        with state(client):
            storing = aside.submit(sink.store, [details(number) for number in range(30)])
            # Waiting or done: a sink that gives up would be done with refusals.
            eventually(lambda: storing.done() or error in (sink.waiting_for or ""))
            assert not storing.done(), storing.result()[0].reason
            assert probe_elasticsearch(small).has_reached_shard_limit is (state is shard_limit_reached)
        assert storing.result(timeout=60) == []
        assert sink.waiting_for is None
    assert stored(client) == 30


def test_an_older_state_never_replaces_a_newer_one(client: Elasticsearch, small: Settings) -> None:
    with BulkSink(small) as sink:
        for sessions in (5, 3, 5, 4):
            assert sink.store([kpi(sessions)]) == []
    client.indices.refresh(index="kpi_minute-2041.05")
    assert queries.documents(client, "kpi_minute", ["row"])["row"]["sessions"] == 5


def test_a_paused_elasticsearch_is_waited_for(client: Elasticsearch, small: Settings, stack: Stack) -> None:
    items = [details(number) for number in range(500)]
    with BulkSink(small) as sink, ThreadPoolExecutor(1) as aside:
        sink.store(items[:1])
        pids = stack.pids("elasticsearch")
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            storing = aside.submit(sink.store, items)
            eventually(lambda: sum(thread.name.startswith("bulk") for thread in threading.enumerate()) >= 2)
            assert not storing.done()
        finally:
            for pid in reversed(pids):
                os.kill(pid, signal.SIGCONT)
        assert storing.result(timeout=120) == []
    assert stored(client) == 500


def test_a_missing_elasticsearch_is_waited_for_and_a_close_ends_the_wait(small: Settings) -> None:
    with ThreadPoolExecutor(1) as aside:
        sink = BulkSink(small.replace(elasticsearch_url="http://127.0.0.1:9"))
        storing = aside.submit(sink.store, [details(1)])
        assert not storing.done()
        sink.close()
        with pytest.raises(InterruptedError):
            storing.result(timeout=30)


def test_without_a_template_nothing_is_sent(client: Elasticsearch, small: Settings) -> None:
    client.indices.delete_index_template(name="product_details")
    try:
        with BulkSink(small) as sink, ThreadPoolExecutor(1) as aside:
            waiting = aside.submit(sink.await_templates, INDICES)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=1)
            ensure_templates(client, small)
            waiting.result(timeout=30)
    finally:
        ensure_templates(client, small)


def test_the_indices_are_what_the_contract_says(client: Elasticsearch, small: Settings) -> None:
    with BulkSink(small) as sink:
        sink.store([details(1)])
    index = client.indices.get(index=INDEX)[INDEX]
    assert index["mappings"]["dynamic"] == "strict"
    assert set(index["mappings"]["properties"]) == set(ProductDetails.__struct_fields__)
    assert list(index["aliases"]) == ["product_details"]
    assert index["settings"]["index"]["translog"]["durability"] == "request"
    assert json.loads(details(1).lines.split(b"\n")[1])["product_id"] == "p01"
