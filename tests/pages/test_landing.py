"""The redirect of the read-only login."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from showroom.landing import ViewerLanding

HERE = "airflow's own page"


def token(payload: Any) -> str:
    return f"e30.{urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip('=')}.x"


def landed(cookie: str, path: str = "/", method: str = "GET", root: str = "") -> str:
    """Return the redirect's location, or HERE if the request passes."""
    sent: list[dict[str, Any]] = []

    async def app(*_: Any) -> None:
        sent.append({"type": HERE})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"cookie", cookie.encode("latin-1"))]
    scope = {"type": "http", "method": method, "path": path, "root_path": root, "headers": headers}
    asyncio.run(ViewerLanding(app)(scope, None, send))
    if sent[0]["type"] == HERE:
        return HERE
    assert sent[0]["status"] == 302
    return str(dict(sent[0]["headers"])[b"location"].decode())


VIEWER = f"a=b; _token={token({'sub': 'viewer', 'role': 'VIEWER', 'teams': None})}"


@pytest.mark.parametrize(
    ("root", "path", "location"),
    [("", "/", "/plugin/showroom-live"), ("/shop", "/shop/", "/shop/plugin/showroom-live")],
)
def test_landing_viewer_at_the_root_is_sent_to_live(root: str, path: str, location: str) -> None:
    assert landed(VIEWER, path, root=root) == location


@pytest.mark.parametrize("path", ["/dags", "/plugin/showroom-live", "/api/v2/dags", "/auth/login"])
def test_landing_viewer_elsewhere_passes(path: str) -> None:
    assert landed(VIEWER, path) == HERE


def test_landing_other_methods_pass() -> None:
    assert landed(VIEWER, method="POST") == HERE


@pytest.mark.parametrize(
    "cookie",
    [
        f"_token={token({'role': 'admin'})}",
        f"_token={token({'role': None})}",
        f"_token={token(['viewer'])}",
        "_token=e30.\xff\xfe.x",
        "_token=a",
        "_token=..",
        "_token",
        "",
        ";;;=",
        "_token=" + "." * 5_000,
    ],
)
def test_landing_other_roles_and_unreadable_tokens_pass(cookie: str) -> None:
    assert landed(cookie) == HERE
