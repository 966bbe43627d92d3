"""Airflow's login in front of every address of the pages."""

import hmac
import os

from fastapi import HTTPException, Request, status
from fastapi.responses import JSONResponse, RedirectResponse, Response

from include.contracts.settings import PREFIX

METRICS_PATH = "/metrics"


async def require_login(request: Request) -> None:
    """Let whoever may see Airflow's own pages pass, and a Prometheus scraper to the metrics.

    HTTPException 401 or 403 for anybody else.
    """
    if _is_scraper(request):
        return
    # Every Airflow process loads the plugin; only the API server serves pages and needs these.
    from airflow.api_fastapi.auth.managers.models.resource_details import AccessView  # noqa: PLC0415
    from airflow.api_fastapi.core_api import security  # noqa: PLC0415

    user = await security.get_user(request, None, await security.bearer_scheme(request))
    security.requires_access_view(AccessView.WEBSITE)(request, user)


def _is_scraper(request: Request) -> bool:
    """Whether the request is for the metrics and carries the token of the settings."""
    if getattr(request.scope.get("route"), "path", "") != METRICS_PATH:
        return False
    token = os.environ.get(f"{PREFIX}METRICS_TOKEN", "")
    given = request.headers.get("authorization", "")
    return bool(token) and hmac.compare_digest(given.encode(), f"Bearer {token}".encode())


def refuse(request: Request, error: Exception) -> Response:
    """The answer to a refused request: a person who is not logged in is sent to the login, a program gets the error."""
    if not isinstance(error, HTTPException):
        raise error
    wants_page = "text/html" in request.headers.get("accept", "")
    if error.status_code == status.HTTP_401_UNAUTHORIZED and wants_page:
        from airflow.api_fastapi.app import get_auth_manager  # noqa: PLC0415

        return RedirectResponse(get_auth_manager().get_url_login(next_url=str(request.url)))
    return JSONResponse({"detail": error.detail}, error.status_code, headers=error.headers)
