"""A running platform on a machine with other users and a browser: sockets, Flink's REST interface, file modes."""

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
from tests.e2e.checks import assert_accounted
from tests.exposure import listening_programs, paths_of_others, sockets_beyond_loopback

SESSIONS = 200
EVIL = "http://evil.example"
UPLOAD = {"jarfile": ("evil.jar", b"PK\x05\x06" + bytes(18), "application/x-java-archive")}


@pytest.fixture(scope="module")
def processed(live: Settings, platform: Stack) -> Stack:
    """The platform after its job has indexed sessions: PyFlink's Python workers run and serve.

    Waits for all of them: a session left in flight would be counted as one of the next test's.
    """
    since, end = take_baseline(live), datetime.now(UTC)
    synthesis = synthesize(Plan.of(live, seed=77, start=end - timedelta(hours=1), end=end, sessions=SESSIONS))
    publish(live, synthesis)
    assert_accounted(live, synthesis.ground_truth.expected, since)
    return platform


def uploaded(flink: httpx.Client) -> list[str]:
    return [jar["name"] for jar in flink.get("/jars").raise_for_status().json()["files"]]


@pytest.fixture
def flink(processed: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=processed.settings.flink.url, timeout=30) as client:
        yield client


def test_no_process_listens_beyond_loopback_after_the_job_has_processed_records(processed: Stack) -> None:
    assert {"kafka", "redis", "elasticsearch", "flink-jobmanager", "flink-taskmanager"} <= listening_programs(
        processed.layout
    )
    assert sockets_beyond_loopback(processed.layout) == []


def test_no_file_of_the_stack_is_open_to_other_users(processed: Stack) -> None:
    assert paths_of_others(processed.layout) == []


@pytest.mark.parametrize("path", ["/jars", "/config", "/jobs/overview", "/"])
def test_flink_allows_no_foreign_origin(flink: httpx.Client, path: str) -> None:
    response = flink.get(path, headers={"Origin": EVIL})

    assert response.headers.get("access-control-allow-origin") not in ("*", EVIL)
    assert response.status_code == httpx.codes.FORBIDDEN
    assert "evil" not in response.text


def test_flink_refuses_a_simple_cross_origin_upload_and_stores_nothing(flink: httpx.Client, processed: Stack) -> None:
    before = uploaded(flink)
    for origin in (EVIL, "null", "http://127.0.0.1:1"):
        response = flink.post("/jars/upload", files=UPLOAD, headers={"Origin": origin})
        assert response.status_code == httpx.codes.FORBIDDEN

    assert uploaded(flink) == before
    assert list(processed.layout.root.rglob("evil.jar*")) == []


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "GET"])
def test_flink_refuses_a_host_name_that_was_rebound_to_loopback(flink: httpx.Client, method: str) -> None:
    for host in ("evil.example", f"evil.example:{flink.base_url.port}", "127.0.0.1.evil.example", ""):
        origin = {"Origin": f"http://{host}"} if method != "GET" else {}
        response = flink.request(method, "/jobs/overview", headers={"Host": host, **origin})
        assert response.status_code == httpx.codes.FORBIDDEN


def test_flink_refuses_requests_of_other_sites_that_carry_no_origin(flink: httpx.Client) -> None:
    for site in ("cross-site", "same-site"):
        hidden = flink.get(
            f"/jobs/{'0' * 32}/yarn-cancel", headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
        )
        assert hidden.status_code == httpx.codes.FORBIDDEN


def test_flink_serves_programs_its_own_page_and_links_to_it(flink: httpx.Client) -> None:
    own = f"http://{LOOPBACK}:{flink.base_url.port}"
    page = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Origin": own}
    link = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}
    tunnel = {"Host": "localhost:8081", "Origin": "http://localhost:8081"}

    assert flink.get("/jobs/overview").status_code == httpx.codes.OK
    assert flink.get("/jobs/overview", headers=page).status_code == httpx.codes.OK
    assert flink.get("/", headers=link).status_code == httpx.codes.OK
    assert flink.get("/jobs/overview", headers=tunnel).status_code == httpx.codes.OK


def test_flink_ignores_the_rest_of_a_refused_connection(flink: httpx.Client) -> None:
    evil = b"GET /jars HTTP/1.1\r\nHost: evil.example\r\n\r\n"
    honest = f"GET /jars HTTP/1.1\r\nHost: {LOOPBACK}\r\n\r\n".encode()
    with socket.create_connection((LOOPBACK, flink.base_url.port or 0), timeout=30) as connection:
        connection.sendall(evil + honest)
        answered = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert answered.startswith(b"HTTP/1.1 403")
    assert b"200 OK" not in answered
