"""Require Airflow's login for every URL of the pages."""

import hmac
import os

from fastapi import HTTPException, Request, status
from fastapi.responses import JSONResponse, RedirectResponse, Response

from include.contracts.settings import PREFIX

METRICS_PATH = "/metrics"


async def require_login(request: Request) -> None:
    """Allow users who may view Airflow, and a Prometheus scraper for the metrics.

    Raises:
        HTTPException: 401 or 403 for all other requests.
    """
    if _is_scraper(request):
        return
    # Imported here because every Airflow process loads the plugin, but only the API server needs these modules.
    from airflow.api_fastapi.auth.managers.models.resource_details import AccessView  # noqa: PLC0415
    from airflow.api_fastapi.core_api import security  # noqa: PLC0415

    user = await security.get_user(request, None, await security.bearer_scheme(request))
    security.requires_access_view(AccessView.WEBSITE)(request, user)


def _is_scraper(request: Request) -> bool:
    """Return whether the request is for the metrics and has the token of the settings."""
    if getattr(request.scope.get("route"), "path", "") != METRICS_PATH:
        return False
    token = os.environ.get(f"{PREFIX}AIRFLOW_METRICS_TOKEN", "")
    authorization = request.headers.get("authorization", "")
    return bool(token) and hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode())


def handle_http_error(request: Request, error: Exception) -> Response:
    """Redirect a browser without login to the login page; return the error to all other clients."""
    if not isinstance(error, HTTPException):
        raise error
    accepts_html = "text/html" in request.headers.get("accept", "")
    if error.status_code == status.HTTP_401_UNAUTHORIZED and accepts_html:
        from airflow.api_fastapi.app import get_auth_manager  # noqa: PLC0415

        return RedirectResponse(get_auth_manager().get_url_login(next_url=str(request.url)))
    return JSONResponse({"detail": error.detail}, error.status_code, headers=error.headers)
