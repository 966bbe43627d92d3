"""Exposure of a running platform to other users and browsers: sockets, Flink's REST interface, and file modes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from include.contracts.settings import LOOPBACK, Settings
from include.ingest.generator import synthesize
from include.ingest.plan import Plan
from include.ingest.publisher import publish
from local.stack import Stack
from local.verification.count_check import take_baseline
from tests.e2e.checks import assert_counts_match
from tests.exposure import listening_programs, paths_of_others, sockets_beyond_loopback

SESSIONS = 200
EVIL = "http://evil.example"
UPLOAD = {"jarfile": ("evil.jar", b"PK\x05\x06" + bytes(18), "application/x-java-archive")}


@pytest.fixture(scope="module")
def processed(live: Settings, platform: Stack) -> Stack:
    """The platform after its job has indexed sessions, so that PyFlink's Python workers run.

    Waits for all sessions, because the next test would count one in flight as its own.
    """
    since, end = take_baseline(live), datetime.now(UTC)
    synthesis = synthesize(Plan.of(live, seed=77, start=end - timedelta(hours=1), end=end, sessions=SESSIONS))
    publish(live.kafka, synthesis)
    assert_counts_match(live, synthesis.ground_truth.expected, since)
    return platform


def list_jars(flink: httpx.Client) -> list[str]:
    return [jar["name"] for jar in flink.get("/jars").raise_for_status().json()["files"]]


@pytest.fixture
def flink(processed: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=processed.settings.flink.url, timeout=30) as client:
        yield client


def test_processes_after_processed_records_listen_on_loopback_only(processed: Stack) -> None:
    assert {"kafka", "redis", "elasticsearch", "flink-jobmanager", "flink-taskmanager"} <= listening_programs(
        processed.layout
    )
    assert sockets_beyond_loopback(processed.layout) == []


def test_files_of_the_stack_deny_other_users(processed: Stack) -> None:
    assert paths_of_others(processed.layout) == []


@pytest.mark.parametrize("path", ["/jars", "/config", "/jobs/overview", "/"])
def test_flink_request_of_a_foreign_origin_is_rejected(flink: httpx.Client, path: str) -> None:
    response = flink.get(path, headers={"Origin": EVIL})

    assert response.headers.get("access-control-allow-origin") not in ("*", EVIL)
    assert response.status_code == httpx.codes.FORBIDDEN
    assert "evil" not in response.text


def test_flink_cross_origin_upload_is_rejected_and_not_stored(flink: httpx.Client, processed: Stack) -> None:
    before = list_jars(flink)
    for origin in (EVIL, "null", "http://127.0.0.1:1"):
        response = flink.post("/jars/upload", files=UPLOAD, headers={"Origin": origin})
        assert response.status_code == httpx.codes.FORBIDDEN

    assert list_jars(flink) == before
    assert list(processed.layout.root.rglob("evil.jar*")) == []


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "GET"])
def test_flink_request_with_a_rebound_host_name_is_rejected(flink: httpx.Client, method: str) -> None:
    for host in ("evil.example", f"evil.example:{flink.base_url.port}", "127.0.0.1.evil.example", ""):
        origin = {"Origin": f"http://{host}"} if method != "GET" else {}
        response = flink.request(method, "/jobs/overview", headers={"Host": host, **origin})
        assert response.status_code == httpx.codes.FORBIDDEN


def test_flink_cross_site_request_without_origin_is_rejected(flink: httpx.Client) -> None:
    for site in ("cross-site", "same-site"):
        hidden = flink.get(
            f"/jobs/{'0' * 32}/yarn-cancel", headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
        )
        assert hidden.status_code == httpx.codes.FORBIDDEN


def test_flink_request_of_a_program_its_page_or_a_link_is_served(flink: httpx.Client) -> None:
    own = f"http://{LOOPBACK}:{flink.base_url.port}"
    page = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Origin": own}
    link = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}
    tunnel = {"Host": "localhost:8081", "Origin": "http://localhost:8081"}

    assert flink.get("/jobs/overview").status_code == httpx.codes.OK
    assert flink.get("/jobs/overview", headers=page).status_code == httpx.codes.OK
    assert flink.get("/", headers=link).status_code == httpx.codes.OK
    assert flink.get("/jobs/overview", headers=tunnel).status_code == httpx.codes.OK


def test_flink_ignores_further_requests_of_a_rejected_connection(flink: httpx.Client) -> None:
    evil = b"GET /jars HTTP/1.1\r\nHost: evil.example\r\n\r\n"
    honest = f"GET /jars HTTP/1.1\r\nHost: {LOOPBACK}\r\n\r\n".encode()
    with socket.create_connection((LOOPBACK, flink.base_url.port or 0), timeout=30) as connection:
        connection.sendall(evil + honest)
        received = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert received.startswith(b"HTTP/1.1 403")
    assert b"200 OK" not in received
