"""The sink on a real Elasticsearch: store, retry, bisect, and return rejected documents."""

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

from flink.bulk import Item, bulk_action
from flink.sink import BulkSink
from include.clients.elasticsearch import connect
from include.contracts.index_documents import INDICES, KpiMinute, ProductDetails
from include.contracts.settings import Settings
from include.serving import queries
from include.serving.templates import ensure_templates
from include.supervise.elasticsearch_probe import probe_elasticsearch
from local.stack import Stack
from tests.elasticsearch_proxy import ElasticsearchProxy, Forward, Reply, serve_proxy
from tests.polling import eventually

MONTH = datetime(2041, 5, 1, tzinfo=UTC)
INDEX = "product_details-2041.05"


@pytest.fixture
def client(stack: Stack) -> Iterator[Elasticsearch]:
    with connect(stack.settings.elasticsearch) as elasticsearch:
        ensure_templates(elasticsearch, stack.settings.elasticsearch)
        yield elasticsearch
        elasticsearch.indices.delete(index=[f"{alias}-2041.05" for alias in INDICES], ignore_unavailable=True)


@pytest.fixture
def bulk_settings(stack: Stack) -> Settings:
    return stack.settings.replace(stream={"bulk_max_documents": 100})


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
    return bulk_action(number, "product_details", f"bulk-{number}:0", document, MONTH)


def kpi(sessions: int) -> Item:
    document = KpiMinute(
        minute=MONTH,
        category="all",
        arrival_date="2041-05-01",
        sessions=sessions,
        users=1,
        purchases=0,
        revenue=0.0,
        duration_s=1,
        mean_duration_s=1.0,
        conversion=0.0,
        late_sessions=0,
    )
    return bulk_action(0, "kpi_minute", "row", document, MONTH, version=sessions)


def stored(client: Elasticsearch) -> int:
    client.indices.refresh(index=INDEX, ignore_unavailable=True)
    return queries.count(client, "product_details", {"term": {"user_id": "u"}})


def test_store_repeated_documents_are_stored_once(client: Elasticsearch, bulk_settings: Settings) -> None:
    items = [details(number) for number in range(1_050)]
    with BulkSink(bulk_settings) as sink:
        assert sink.store(items) == []
        assert sink.store(items[:300]) == []
    assert stored(client) == 1_050


def test_store_returns_rejected_documents_with_reasons_and_stores_the_others(
    client: Elasticsearch, bulk_settings: Settings
) -> None:
    odd = details(3)._replace(lines=details(3).lines.replace(b'"position":0', b'"surprise":0'))
    invalid = details(4)._replace(lines=details(4).lines.replace(b'"position":0', b'"position":"first"'))
    with BulkSink(bulk_settings) as sink:
        rejected = sink.store([details(1), details(2), odd, invalid, details(5)])
    assert [rejection.item for rejection in rejected] == [odd, invalid]
    assert "strict_dynamic_mapping_exception" in rejected[0].reason
    assert "document_parsing_exception" in rejected[1].reason
    assert stored(client) == 3


def test_store_failed_request_retries_only_the_document_that_causes_it(
    client: Elasticsearch, bulk_settings: Settings
) -> None:
    items = [details(number) for number in range(20)]
    items[7] = items[7]._replace(lines=b'{"index":{"no_such_parameter":1}}\n{}\n')
    with ThreadPoolExecutor(1) as pool:
        with BulkSink(bulk_settings) as sink:
            storing = pool.submit(sink.store, items)
            eventually(lambda: storing.done() or stored(client) == 19)
            assert not storing.done(), storing.result()[0].reason
            reason = "400 illegal_argument_exception: Action/metadata line"
            eventually(lambda: (sink.retry_reason or "").startswith(reason))
        with pytest.raises(InterruptedError):
            storing.result(timeout=30)


HTML = Reply(400, b"<html><h1>400 Bad Request</h1></html>", "text/html")


def error(status: int, kind: str) -> Reply:
    """Return a response of Elasticsearch for the whole request."""
    return Reply(status, json.dumps({"error": {"type": kind, "reason": "why"}, "status": status}).encode())


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda _: HTML, "400 <html><h1>400 Bad Request"),
        (lambda _: error(400, "illegal_argument_exception"), "400 illegal_argument_exception: why"),
        (lambda _: error(400, "action_request_validation_exception"), "400 action_request_validation_exception: why"),
        (lambda _: error(429, "es_rejected_execution_exception"), "429 es_rejected_execution_exception: why"),
        (lambda _: error(503, "cluster_block_exception"), "503 cluster_block_exception: why"),
        (lambda _: Reply(200, b"<html>log in</html>", "text/html"), "invalid bulk response"),
        (lambda forward: Reply(200, json.dumps({"items": [{}] * 10}).encode()), "invalid bulk response"),
        (lambda forward: forward()._replace(sent=-1), "ConnectionError"),
        (lambda forward: forward()._replace(sent=40), "ConnectionError"),
    ],
    ids=["html", "argument", "validation", "429", "503", "login", "empty", "reset", "cut"],
)
def test_store_fault_of_the_request_is_retried_and_each_document_stored_once(
    client: Elasticsearch, bulk_settings: Settings, fault: Callable[[Forward], Reply], reason: str
) -> None:
    repaired = threading.Event()
    small_settings = bulk_settings.replace(stream={"bulk_max_documents": 10})

    def rule(_: bytes, forward: Forward) -> Reply:
        return forward() if repaired.is_set() else fault(forward)

    with (
        serve_proxy(small_settings.elasticsearch.url, rule) as proxy,
        ThreadPoolExecutor(1) as pool,
        BulkSink(_at(small_settings, proxy)) as sink,
    ):
        storing = pool.submit(sink.store, [details(number) for number in range(30)])
        eventually(lambda: storing.done() or reason in (sink.retry_reason or ""))
        assert not storing.done(), storing.result()
        repaired.set()
        assert storing.result(timeout=60) == []
    assert stored(client) == 30
    # The number of requests of a wait does not depend on the number of documents.
    assert len(proxy.requests) < 60


def _at(bulk_settings: Settings, proxy: ElasticsearchProxy) -> Settings:
    return bulk_settings.replace(elasticsearch={"url": proxy.url})


def test_store_request_size_limit_rejects_only_the_document_that_exceeds_it(
    client: Elasticsearch, bulk_settings: Settings
) -> None:
    items = [details(number) for number in range(20)]
    items[7] = items[7]._replace(lines=items[7].lines.replace(b"Sofa", b"S" * 20_000))

    def limit(body: bytes, forward: Forward) -> Reply:
        return Reply(413, b"<html>Request Entity Too Large</html>", "text/html") if len(body) > 5_000 else forward()

    with serve_proxy(bulk_settings.elasticsearch.url, limit) as proxy, BulkSink(_at(bulk_settings, proxy)) as sink:
        rejected = sink.store(items)
    assert [rejection.item for rejection in rejected] == [items[7]]
    assert rejected[0].reason == "413 <html>Request Entity Too Large</html>"
    assert stored(client) == 19


def test_store_mixed_response_stores_or_rejects_each_document(client: Elasticsearch, bulk_settings: Settings) -> None:
    odd = [details(number) for number in (1, 8)]
    odd = [item._replace(lines=item.lines.replace(b'"seconds":1', b'"seconds":"x"')) for item in odd]
    with ThreadPoolExecutor(1) as pool, BulkSink(bulk_settings) as sink:
        assert sink.store([kpi(1)]) == []
        client.indices.put_settings(index="kpi_minute-2041.05", settings={"index.blocks.write": True})
        storing = pool.submit(sink.store, [kpi(2), odd[0], *(details(number) for number in range(2, 8)), odd[1]])
        eventually(lambda: "cluster_block_exception" in (sink.retry_reason or "") and stored(client) == 6)
        client.indices.put_settings(index="kpi_minute-2041.05", settings={"index.blocks.write": None})
        rejected = storing.result(timeout=60)
    client.indices.refresh(index="kpi_minute-2041.05")
    assert [rejection.item for rejection in rejected] == odd
    assert stored(client) == 6
    assert queries.documents(client, "kpi_minute", ["row"])["row"]["sessions"] == 2


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
    """The first document of the month cannot create its index."""
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


@contextmanager
def pipeline_missing(client: Elasticsearch) -> Iterator[None]:
    """The index has an ingest pipeline that does not exist."""
    client.indices.put_settings(index=INDEX, settings={"index.default_pipeline": "no-such-pipeline"})
    try:
        yield
    finally:
        client.indices.put_settings(index=INDEX, settings={"index.default_pipeline": None})


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (write_blocked, "cluster_block_exception"),
        (closed, "index_closed_exception"),
        (shard_limit_reached, "maximum normal shards open"),
        (index_missing, "index_not_found_exception"),
        (pipeline_missing, "pipeline with id [no-such-pipeline] does not exist"),
    ],
)
def test_store_index_fault_is_retried_and_all_documents_stored(
    client: Elasticsearch,
    bulk_settings: Settings,
    state: Callable[[Elasticsearch], AbstractContextManager[None]],
    error: str,
) -> None:
    small_settings = bulk_settings.replace(stream={"bulk_max_documents": 10})
    with BulkSink(small_settings) as sink, ThreadPoolExecutor(1) as pool:
        assert sink.store([details(0), kpi(1)]) == []
        with state(client):
            storing = pool.submit(sink.store, [details(number) for number in range(30)])
            # A sink without retries would return the documents as rejected.
            eventually(lambda: storing.done() or error in (sink.retry_reason or ""))
            assert not storing.done(), storing.result()[0].reason
            assert probe_elasticsearch(small_settings.elasticsearch).has_reached_shard_limit is (
                state is shard_limit_reached
            )
        assert storing.result(timeout=60) == []
        assert sink.retry_reason is None
    assert stored(client) == 30


def test_store_older_version_does_not_replace_a_newer_one(client: Elasticsearch, bulk_settings: Settings) -> None:
    with BulkSink(bulk_settings) as sink:
        for sessions in (5, 3, 5, 4):
            assert sink.store([kpi(sessions)]) == []
    client.indices.refresh(index="kpi_minute-2041.05")
    assert queries.documents(client, "kpi_minute", ["row"])["row"]["sessions"] == 5


def test_store_retries_while_elasticsearch_is_paused(
    client: Elasticsearch, bulk_settings: Settings, stack: Stack
) -> None:
    items = [details(number) for number in range(500)]
    with BulkSink(bulk_settings) as sink, ThreadPoolExecutor(1) as pool:
        sink.store(items[:1])
        pids = stack.pids("elasticsearch")
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            storing = pool.submit(sink.store, items)
            eventually(lambda: sum(thread.name.startswith("bulk") for thread in threading.enumerate()) >= 2)
            assert not storing.done()
        finally:
            for pid in reversed(pids):
                os.kill(pid, signal.SIGCONT)
        assert storing.result(timeout=120) == []
    assert stored(client) == 500


def test_close_ends_retries_of_an_unreachable_elasticsearch(bulk_settings: Settings) -> None:
    with ThreadPoolExecutor(1) as pool:
        sink = BulkSink(bulk_settings.replace(elasticsearch={"url": "http://127.0.0.1:9"}))
        storing = pool.submit(sink.store, [details(1)])
        assert not storing.done()
        sink.close()
        with pytest.raises(InterruptedError):
            storing.result(timeout=30)


def test_wait_for_templates_blocks_until_the_template_exists(client: Elasticsearch, bulk_settings: Settings) -> None:
    client.indices.delete_index_template(name="product_details")
    try:
        with BulkSink(bulk_settings) as sink, ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(sink.wait_for_templates, INDICES)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=1)
            ensure_templates(client, bulk_settings.elasticsearch)
            waiting.result(timeout=30)
    finally:
        ensure_templates(client, bulk_settings.elasticsearch)


def test_store_creates_the_index_of_the_contract(client: Elasticsearch, bulk_settings: Settings) -> None:
    with BulkSink(bulk_settings) as sink:
        sink.store([details(1)])
    index = client.indices.get(index=INDEX)[INDEX]
    assert index["mappings"]["dynamic"] == "strict"
    assert set(index["mappings"]["properties"]) == set(ProductDetails.__struct_fields__)
    assert list(index["aliases"]) == ["product_details"]
    assert index["settings"]["index"]["translog"]["durability"] == "request"
    assert json.loads(details(1).lines.split(b"\n")[1])["product_id"] == "p01"
