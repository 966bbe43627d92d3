"""Prometheus metrics: declared names only, and no values of unavailable servers."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from include.contracts.metrics import METRICS
from include.contracts.setting import Secret
from include.contracts.settings import (
    ElasticsearchSettings,
    FlinkSettings,
    KafkaSettings,
    MongodbSettings,
    RedisSettings,
    Settings,
    SuperviseSettings,
)
from showroom.web import metrics
from showroom.web.data_sources import DataSources
from showroom.web.metrics import exposition, read_metrics


@pytest.fixture
def unavailable(tmp_path: Path) -> DataSources:
    """Data sources whose servers are all unavailable."""
    address = "127.0.0.1:1"
    return DataSources(
        Settings(
            kafka=KafkaSettings(bootstrap_servers=address),
            redis=RedisSettings(url=Secret(f"redis://{address}/0")),
            elasticsearch=ElasticsearchSettings(url=f"http://{address}"),
            flink=FlinkSettings(url=f"http://{address}"),
            mongodb=MongodbSettings(url=Secret(f"mongodb://{address}")),
            supervise=SuperviseSettings(state_dir=str(tmp_path)),
        )
    )


def values_by_label(text: bytes) -> dict[str, dict[str, float]]:
    """Return family -> label value -> value."""
    return {
        family.name: {next(iter(sample.labels.values()), ""): sample.value for sample in family.samples}
        for family in text_string_to_metric_families(text.decode())
    }


def test_read_metrics_without_servers_reports_them_as_unavailable(unavailable: DataSources) -> None:
    scraped = values_by_label(read_metrics(unavailable))
    servers = scraped["showroom_supervise_available"]
    del servers["restore"]  # a folder, not a server
    assert set(servers.values()) == {0.0}
    assert scraped["showroom_supervise_action"]["wait"] == 1.0
    assert {name.split("_")[1] for name in scraped} == {"supervise"}


def test_exposition_of_all_metrics_has_their_names_and_labels() -> None:
    served = [metric for metric in METRICS if metric.exporter == "airflow"]
    values = {metric.name: {"a": 1.0, 'b"\n': 2.0} if metric.label else 3.0 for metric in served}
    scraped = values_by_label(exposition(values))
    assert scraped.keys() == {metric.prometheus for metric in served}
    assert scraped["showroom_gate_records"] == {"a": 1.0, 'b"\n': 2.0}


def test_exposition_without_values_has_no_family() -> None:
    assert metrics.exposition({"gate.records": {}}) == b""
