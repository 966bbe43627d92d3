"""A complete platform with Airflow, and clients for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from include.clients.airflow import AirflowApi
from include.contracts.settings import Settings
from local.airflow_login import connect_airflow
from local.stack import Stack
from tests.locking import turn

DAGS = {
    "archive_sessions",
    "batch_nightly",
    "ingest_replay",
    "ingest_synthetic",
    "reconcile",
    "serving_retention",
    "supervise_stream",
}


@pytest.fixture(scope="session")
def platform(settings: Settings) -> Iterator[Stack]:
    """A new and empty platform with all programs, including Airflow."""
    running = Stack(settings)
    with turn(settings):
        running.purge()
        try:
            running.up()
            yield running
        finally:
            running.down()


@pytest.fixture
def api(platform: Stack, settings: Settings) -> Iterator[AirflowApi]:
    with connect_airflow(settings.airflow, platform.layout) as connected:
        connected.wait_for_dags(DAGS)
        yield connected
