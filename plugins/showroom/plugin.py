"""Airflow plugin: links of tasks, and the pages behind Airflow's login."""

from importlib import import_module
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from showroom.landing import ViewerLanding
from showroom.links import LINKS
from showroom.web.navigation import PREFIX, VIEWS


class Pages:
    """ASGI application of the pages, imported at the first request because every Airflow process loads the plugin."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle one request."""
        await import_module("showroom.web.app").app(scope, receive, send)


class ShowroomPlugin(AirflowPlugin):
    """Registers links and pages in Airflow."""

    name = "showroom"
    fastapi_apps = [{"app": Pages(), "url_prefix": PREFIX, "name": "showroom"}]  # noqa: RUF012 -- as Airflow declares it
    fastapi_root_middlewares = [{"middleware": ViewerLanding, "name": "showroom"}]  # noqa: RUF012
    external_views = [dict(view) for view in VIEWS]  # noqa: RUF012
    operator_extra_links = LINKS
