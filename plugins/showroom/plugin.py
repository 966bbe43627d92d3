"""What Airflow loads: links, and the pages behind its login."""

from importlib import import_module
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from showroom.landing import ViewerLanding
from showroom.links import LINKS
from showroom.pages.views import PREFIX, VIEWS


class Pages:
    """The pages' application, imported at its first request: every Airflow process loads the plugin."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        await import_module("showroom.pages.app").app(scope, receive, send)


class ShowroomPlugin(AirflowPlugin):
    """The showroom in Airflow."""

    name = "showroom"
    fastapi_apps = [{"app": Pages(), "url_prefix": PREFIX, "name": "showroom"}]  # noqa: RUF012 -- as Airflow declares it
    fastapi_root_middlewares = [{"middleware": ViewerLanding, "name": "showroom"}]  # noqa: RUF012
    external_views = [dict(view) for view in VIEWS]  # noqa: RUF012
    operator_extra_links = LINKS
