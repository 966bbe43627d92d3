"""Permissions of the read-only login in a running Airflow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from include.clients.airflow import AirflowApi
from include.contracts.settings import Settings
from local.airflow_login import viewer_login
from local.stack import Stack
from tests.dags.conftest import DAGS

DAG = "reconcile"
ALIVE = "2026-01-01T00:00:00Z"
CONNECTION = {"connection_id": "new", "conn_type": "http", "host": "evil.example"}
FORBIDDEN: list[tuple[str, str, Any]] = [
    ("POST", f"/dags/{DAG}/dagRuns", {"logical_date": None}),
    ("PATCH", f"/dags/{DAG}", {"is_paused": True}),
    ("PATCH", "/dags?dag_id_pattern=%25", {"is_paused": True}),
    ("DELETE", f"/dags/{DAG}", None),
    ("POST", f"/dags/{DAG}/clearTaskInstances", {"dry_run": False}),
    ("POST", f"/dags/{DAG}/dagRuns/a/clear", {"dry_run": False}),
    ("PATCH", f"/dags/{DAG}/dagRuns/a", {"state": "success"}),
    ("DELETE", f"/dags/{DAG}/dagRuns/a", None),
    ("PATCH", f"/dags/{DAG}/dagRuns/a/taskInstances/b", {"new_state": "success"}),
    ("POST", "/backfills", {"dag_id": DAG, "from_date": ALIVE, "to_date": ALIVE}),
    ("GET", "/connections", None),
    ("GET", "/connections/mongo_default", None),
    ("POST", "/connections", CONNECTION),
    ("PATCH", "/connections/mongo_default", CONNECTION),
    ("DELETE", "/connections/mongo_default", None),
    ("POST", "/connections/test", CONNECTION),
    ("GET", "/variables", None),
    ("POST", "/variables", {"key": "a", "value": "b"}),
    ("PATCH", "/variables/a", {"key": "a", "value": "b"}),
    ("DELETE", "/variables/a", None),
    ("POST", "/pools", {"name": "a", "slots": 1}),
    ("DELETE", "/pools/batch", None),
    ("POST", "/assets/events", {"asset_id": 1}),
]


@pytest.fixture
def viewer(api: AirflowApi, settings: Settings, platform: Stack) -> Iterator[httpx.Client]:
    """A logged-in viewer, once Airflow has parsed the DAGs."""
    user, password = viewer_login(platform.layout)
    with httpx.Client(base_url=settings.airflow.url, timeout=60) as client:
        request = client.post("/auth/token", json={"username": user, "password": password})
        client.headers["Authorization"] = f"Bearer {request.raise_for_status().json()['access_token']}"
        yield client


@pytest.mark.parametrize(("method", "path", "body"), FORBIDDEN, ids=[f"{row[0]} {row[1]}" for row in FORBIDDEN])
def test_viewer_change_or_secret_is_forbidden(viewer: httpx.Client, method: str, path: str, body: Any) -> None:
    response = viewer.request(method, f"/api/v2{path}", json=body)

    assert response.status_code == httpx.codes.FORBIDDEN, response.text[:300]


def test_viewer_forbidden_requests_change_nothing(viewer: httpx.Client, api: AirflowApi) -> None:
    before = api.dags(), len(api.runs("ingest_replay"))

    viewer.post("/api/v2/dags/ingest_replay/dagRuns", json={"logical_date": None, "conf": {}})
    viewer.patch("/api/v2/dags/ingest_replay", json={"is_paused": not before[0]["ingest_replay"]})

    assert (api.dags(), len(api.runs("ingest_replay"))) == before


def test_viewer_reads_dags_live_and_stream(viewer: httpx.Client) -> None:
    listed = viewer.get("/api/v2/dags").raise_for_status().json()["dags"]

    assert {dag["dag_id"] for dag in listed} == DAGS
    for path in (f"/api/v2/dags/{DAG}/details", f"/api/v2/dags/{DAG}/dagRuns", "/showroom/live", "/showroom/stream"):
        assert viewer.get(path).status_code == httpx.codes.OK, path


def test_viewer_may_only_read_the_pages(viewer: httpx.Client) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert viewer.request(method, "/showroom/live").status_code == httpx.codes.METHOD_NOT_ALLOWED


def test_viewer_wrong_or_other_password_is_refused(viewer: httpx.Client, platform: Stack) -> None:
    user, password = viewer_login(platform.layout)
    for body in ({"username": user, "password": "guess"}, {"username": "admin", "password": password}):
        assert viewer.post("/auth/token", json=body).status_code == httpx.codes.UNAUTHORIZED
