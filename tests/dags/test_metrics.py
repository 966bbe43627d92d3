"""Every declared metric is served by a live platform, with authorization."""

from __future__ import annotations

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from include.clients.airflow import AirflowApi
from include.clients.elasticsearch import connect
from include.contracts.metrics import METRICS, Exporter
from include.contracts.settings import LOOPBACK, Settings
from include.serving import queries as serving
from tests.polling import eventually

TIMEOUT_S = 30.0
PATIENCE_S = 200.0
SESSIONS = 20


@pytest.fixture
def address(settings: Settings) -> str:
    return f"{settings.airflow.url}/showroom/metrics"


@pytest.fixture
def some_sessions(api: AirflowApi, settings: Settings) -> None:
    """Index some sessions, unless earlier tests did."""
    with connect(settings.elasticsearch) as client:
        if not serving.count(client, "session_summary"):
            api.unpause("ingest_synthetic")
            api.trigger("ingest_synthetic", {"sessions": SESSIONS, "days": 1, "seed": 7})
            eventually(lambda: serving.count(client, "session_summary"), PATIENCE_S, every_s=1)
            api.pause("ingest_synthetic")


def scrape(address: str, token: str = "") -> dict[str, list[float]]:
    """Return family -> samples, of families with samples."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    response = httpx.get(address, headers=headers, timeout=TIMEOUT_S).raise_for_status()
    families = text_string_to_metric_families(response.text)
    return {family.name: [sample.value for sample in family.samples] for family in families if family.samples}


def undeclared_and_missing(scraped: dict[str, list[float]], exporter: Exporter) -> set[str]:
    """Return the metrics that are declared and not served, or served and not declared."""
    return {metric.prometheus for metric in METRICS if metric.exporter == exporter} ^ scraped.keys()


@pytest.mark.usefixtures("some_sessions")
def test_metrics_of_the_platform_are_all_served(address: str, settings: Settings) -> None:
    token = settings.airflow.metrics_token.reveal()

    def served() -> bool:
        differing = undeclared_and_missing(scrape(address, token), "airflow")
        assert not differing
        return True

    # A job that has just started may have no checkpoint yet.
    assert eventually(served, PATIENCE_S, every_s=5)
    scraped = scrape(address, token)
    assert set(scraped["showroom_supervise_available"]) == {1.0}
    assert sum(scraped["showroom_serving_documents"]) > 0
    assert sum(scraped["showroom_gate_records"]) >= scraped["showroom_gate_lag"][0]


@pytest.mark.usefixtures("some_sessions")
def test_metrics_of_each_gate_process_are_all_served(settings: Settings, api: AirflowApi) -> None:
    for index in range(settings.gate.processes):
        scraped = scrape(f"http://{LOOPBACK}:{settings.local.ports.gate_metrics + index}/metrics")
        assert undeclared_and_missing(scraped, "gate") == set()
        assert scraped["showroom_gate_committed"][0] > 0


def test_metrics_are_served_to_airflows_logins(address: str, api: AirflowApi) -> None:
    assert scrape(address, api.token())


@pytest.mark.parametrize("token", ["", "another", "a scraper of tests onl"])
def test_metrics_are_refused_to_strangers(address: str, api: AirflowApi, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    assert httpx.get(address, headers=headers, timeout=TIMEOUT_S).status_code in (401, 403)


def test_scraper_token_is_valid_for_metrics_only(settings: Settings, api: AirflowApi) -> None:
    headers = {"Authorization": f"Bearer {settings.airflow.metrics_token.reveal()}"}
    for path in ("stream", "live", "live/overview", "metrics/../stream", "static/page.css"):
        response = httpx.get(f"{settings.airflow.url}/showroom/{path}", headers=headers, timeout=TIMEOUT_S)
        assert response.status_code in (401, 403), path
