"""The metrics as text: declared names only, and nothing invented for servers that are away."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from include.contracts.metrics import METRICS
from include.contracts.settings import Secret, Settings
from showroom.pages import metrics
from showroom.pages.metrics import exposition, read_metrics
from showroom.pages.sources import Sources


@pytest.fixture
def away(tmp_path: Path) -> Sources:
    """Sources whose servers are all away."""
    place = "127.0.0.1:1"
    return Sources(
        Settings(
            kafka_bootstrap=place,
            redis_url=Secret(f"redis://{place}/0"),
            elasticsearch_url=f"http://{place}",
            flink_url=f"http://{place}",
            mongo_url=Secret(f"mongodb://{place}"),
            supervise_folder=str(tmp_path),
        )
    )


def readings(text: bytes) -> dict[str, dict[str, float]]:
    """Family -> label's value -> reading."""
    return {
        family.name: {next(iter(sample.labels.values()), ""): sample.value for sample in family.samples}
        for family in text_string_to_metric_families(text.decode())
    }


def test_metrics_without_servers_tell_that_nothing_answers(away: Sources) -> None:
    scraped = readings(read_metrics(away))
    servers = scraped["showroom_supervise_available"]
    del servers["restore"]  # a folder, and no server
    assert set(servers.values()) == {0.0}
    assert scraped["showroom_supervise_action"]["wait"] == 1.0
    assert {name.split("_")[1] for name in scraped} == {"supervise"}


def test_exposition_of_all_metrics_has_their_names_and_labels() -> None:
    served = [metric for metric in METRICS if metric.exporter == "airflow"]
    values = {metric.name: {"a": 1.0, 'b"\n': 2.0} if metric.label else 3.0 for metric in served}
    scraped = readings(exposition(values))
    assert scraped.keys() == {metric.prometheus for metric in served}
    assert scraped["showroom_gate_records"] == {"a": 1.0, 'b"\n': 2.0}


def test_exposition_without_readings_has_no_family() -> None:
    assert metrics.exposition({"gate.records": {}}) == b""
