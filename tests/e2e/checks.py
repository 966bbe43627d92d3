"""Checks of the platform after a load: counts of all stages, kpi_minute rows, and rejected records."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from include.clients.elasticsearch import connect
from include.contracts import topics
from include.contracts.settings import Settings
from include.ingest.expected_counts import ExpectedCounts, build_kpi_table
from include.ingest.labelled_record import LabelledRecord
from local.verification.count_check import Baseline, compare_counts, read_since, wait_until_indexed

INDEX_TIMEOUT_S = 60.0


def assert_counts_match(settings: Settings, expected: ExpectedCounts, since: Baseline) -> None:
    """Wait until the load is indexed, then assert that all counts match."""
    try:
        wait_until_indexed(settings.elasticsearch, expected, since, INDEX_TIMEOUT_S)
    finally:
        lines = compare_counts(settings, expected, since)
        unbalanced = [line for line in lines if line.difference]
        assert unbalanced == [], f"counts differ: {unbalanced}"
    results = {line.what: line.actual for line in lines}
    assert results[topics.RAW] == expected.produced > 0
    assert results[topics.VALID] == expected.valid > 0
    assert sum(count for what, count in results.items() if what.startswith("rejected")) == expected.rejected


def assert_kpis(settings: Settings, labelled_records: Sequence[LabelledRecord]) -> None:
    """Assert that each kpi_minute row matches the valid sessions."""
    expected = build_kpi_table(labelled_records)
    minutes = [minute for minute, _ in expected]
    rows = _search_all(
        settings,
        "kpi_minute",
        {"range": {"minute": {"gte": min(minutes).isoformat(), "lte": max(minutes).isoformat()}}},
    )
    results: dict[tuple[datetime, str], list[int | Decimal]] = defaultdict(lambda: [0] * 5)
    for row in rows:
        key = (datetime.fromisoformat(row["minute"]), row["category"])
        parts = [row["sessions"], row["purchases"], Decimal(str(row["revenue"])), row["duration_s"], row["users"]]
        results[key] = [before + part for before, part in zip(results[key], parts, strict=True)]
        assert row["conversion"] == row["purchases"] / row["sessions"]
        assert row["mean_duration_s"] == row["duration_s"] / row["sessions"]
    assert dict(results) == {
        key: [row.total.sessions, row.total.purchases, row.total.revenue, row.total.duration_s, row.users]
        for key, row in expected.items()
    }


def read_rejected(settings: Settings, since: Baseline) -> list[tuple[bytes | None, bytes, dict[str, str]]]:
    """Return key, value and headers of every rejected record since a position."""
    return [
        (record.key, record.value, {name: value.decode() for name, value in record.headers})
        for record in read_since(settings.kafka, topics.REJECTED, since)
    ]


def read_raw_record(settings: Settings, partition: int, offset: int) -> Any:
    """Return the raw record at a partition and offset."""
    topic_partition = TopicPartition(topics.RAW, partition)
    with _consumer(settings) as consumer:
        consumer.assign([topic_partition])
        consumer.seek(topic_partition, offset)
        return consumer.poll(timeout_ms=10_000, max_records=1)[topic_partition][0]


def _consumer(settings: Settings) -> KafkaConsumer:
    return KafkaConsumer(
        bootstrap_servers=settings.kafka.bootstrap_servers,
        isolation_level="read_committed",
        enable_auto_commit=False,
        max_partition_fetch_bytes=topics.MAX_MESSAGE_BYTES,
    )


def _search_all(settings: Settings, alias: str, query: dict[str, Any]) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    after: list[Any] | None = None
    with connect(settings.elasticsearch) as client:
        client.indices.refresh(index=f"{alias}-*")
        while True:
            page: dict[str, Any] = {"search_after": after} if after else {}
            sort = [{"minute": "asc"}, {"category": "asc"}, {"arrival_date": "asc"}]
            hits = client.search(index=alias, query=query, size=5_000, sort=sort, **page)["hits"]["hits"]
            if not hits:
                return results
            results += [hit["_source"] for hit in hits]
            after = hits[-1]["sort"]
