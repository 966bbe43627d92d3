"""Redirect the read-only login from Airflow's home page to the Live page."""

import json
from base64 import urlsafe_b64decode
from binascii import Error
from http.cookies import CookieError, SimpleCookie
from typing import Any

COOKIE = "_token"
"""Airflow's cookie with the token of the logged-in user."""
LIVE = "plugin/showroom-live"
ROLE = "viewer"


class ViewerLanding:
    """ASGI middleware that redirects a viewer's request for Airflow's root to Live.

    The token's signature is not verified here: a forged one leads to a page that verifies it.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["method"] == "GET" and _is_root(scope) and _role(scope) == ROLE:
            target = f"{scope.get('root_path', '').rstrip('/')}/{LIVE}".encode()
            headers = [(b"location", target), (b"content-length", b"0"), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": 302, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        await self._app(scope, receive, send)


def _is_root(scope: Any) -> bool:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) in ("", "/")


def _role(scope: Any) -> str:
    """Return the role in the request's token; empty without a readable token."""
    cookies = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
    try:
        token = SimpleCookie(cookies.decode("latin-1"))[COOKIE].value
        payload = token.split(".")[1]
        content = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(content["role"]).lower()
    except (CookieError, Error, IndexError, KeyError, TypeError, ValueError):
        return ""
