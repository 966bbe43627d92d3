"""A nightly run on a live Airflow with all real servers, and its failures."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psutil
import pytest
from pymongo.database import Database

from include.archive.store import connect as connect_mongo
from include.archive.store import database
from include.clients.airflow import AirflowApi
from include.clients.elasticsearch import connect
from include.contracts.collections import NEIGHBOURS, PRIVACY, PROMOTIONS
from include.contracts.index_documents import NEIGHBOURS_ALIAS
from include.contracts.settings import Settings
from include.serving import queries as serving
from local.airflow_login import connect_airflow
from local.demo import nightly_run
from local.servers import mlflow
from local.stack import Stack
from tests.polling import eventually

SESSIONS, DAYS = 8_000, 13
INGEST, ARCHIVE = "ingest_synthetic", "archive_sessions"


@pytest.fixture
def mongo(settings: Settings, platform: Stack) -> Iterator[Database[dict[str, Any]]]:
    with connect_mongo(settings.mongodb) as client:
        yield database(client, settings.mongodb)


@pytest.fixture(scope="module")
def history(platform: Stack, settings: Settings) -> datetime:
    """Archive almost two weeks of sessions; return the time of the last."""
    with connect_airflow(settings.airflow, platform.layout) as api:
        api.wait_for_dags({INGEST, ARCHIVE, nightly_run.DAG})
        paused = api.dags()[INGEST]
        api.unpause(INGEST)
        run_id = api.trigger(INGEST, {"sessions": SESSIONS, "days": DAYS, "seed": 11})
        assert api.wait(INGEST, run_id, 180) == "success", api.log(INGEST, run_id, "synthesize")
        if paused:
            api.pause(INGEST)
        valid = api.result(INGEST, run_id, "synthesize")["verdicts"]["valid"]

        def archived() -> bool:
            load = api.trigger(ARCHIVE)
            assert api.wait(ARCHIVE, load, 180) == "success", api.log(ARCHIVE, load, "load")
            with connect_mongo(settings.mongodb) as client:
                return bool(database(client, settings.mongodb)["sessions"].estimated_document_count() >= valid)

        assert eventually(archived, within_s=180, every_s=1)
    return datetime.now(UTC)


def test_mlflow_requires_login(platform: Stack, settings: Settings) -> None:
    for path in ("/", "/api/2.0/mlflow/experiments/search?max_results=1", "/ajax-api/2.0/mlflow/experiments/list"):
        assert httpx.get(f"{settings.mlflow.url}{path}", timeout=30).status_code == 401, path
        wrong = httpx.get(f"{settings.mlflow.url}{path}", auth=("admin", "password1234"), timeout=30)
        assert wrong.status_code == 401, path
    keys = mlflow.read_keys(platform.layout)
    assert keys is not None
    assert httpx.get(settings.mlflow.url, auth=(mlflow.USER, keys.password), timeout=30).status_code == 200


def test_nightly_run_on_empty_window_fails_with_the_reason(api: AirflowApi, settings: Settings) -> None:
    nightly = nightly_run.run(settings, datetime(2001, 1, 1, tzinfo=UTC), datetime(2001, 1, 15, tzinfo=UTC), print, 240)

    assert set(nightly.failed) == {"features"}
    assert not nightly.summaries
    log = api.log(nightly_run.DAG, nightly.run_id, "features", attempt=1)
    assert "the archive has no session that began in" in log
    assert api.task_states(nightly_run.DAG, nightly.run_id)["promote"] == "upstream_failed"


def test_ended_run_ends_its_step(api: AirflowApi, platform: Stack, history: datetime) -> None:
    run_id = api.trigger(
        nightly_run.DAG, {"start": (history - timedelta(days=14)).isoformat(), "end": history.isoformat()}
    )
    step = eventually(_step, within_s=120, every_s=0.2)
    assert step is not None

    api.end(nightly_run.DAG, run_id)

    assert eventually(lambda: not step.is_running() or step.status() == psutil.STATUS_ZOMBIE, within_s=60)
    assert api.state(nightly_run.DAG, run_id) == "failed"


def test_nightly_run_publishes_champions_neighbours_and_charges_budget(
    settings: Settings, mongo: Database[dict[str, Any]], history: datetime
) -> None:
    nightly = nightly_run.run(settings, history - timedelta(days=14), history, print, 900)

    assert nightly.failed == {}
    assert nightly.complete
    oracle_auc = nightly.summaries["train"]["oracle_auc"]
    assert 0.7 < oracle_auc < 1
    assert nightly.summaries["train"]["above_oracle_auc"] == []
    assert nightly.summaries["privacy"]["epsilon"] <= 1
    assert mongo[PRIVACY].count_documents({}) == 1
    decided = nightly.summaries["promote"]["decisions"]
    assert mongo[PROMOTIONS].count_documents({"confirmed": True}) == len(decided) == 2
    users = nightly.summaries["similar"]["users"]
    assert mongo[NEIGHBOURS].count_documents({}) == users
    with connect(settings.elasticsearch) as client:
        assert serving.count(client, NEIGHBOURS_ALIAS) == users


def _step() -> psutil.Process | None:
    """Wait for the process of a step of this test's stack; return it."""
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "include.batch" in command and any("/.showroom/test/" in word for word in command):
            return process
    return None
