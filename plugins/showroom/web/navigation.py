"""Navigation entries of the pages in Airflow. Light imports only, because every Airflow process loads the plugin."""

from typing import TypedDict

PREFIX = "/showroom"


class View(TypedDict):
    """One entry of Airflow's navigation. URLs are relative to Airflow's base URL."""

    name: str
    href: str
    destination: str
    url_route: str
    icon: str
    nav_top_level: bool


def _view(title: str, page: str) -> View:
    folder = PREFIX.removeprefix("/")
    return View(
        name=title,
        href=f"{folder}/{page}",
        destination="nav",
        url_route=f"showroom-{page}",
        icon=f"{folder}/static/{page}.svg",
        nav_top_level=True,
    )


VIEWS: tuple[View, ...] = (_view("Live", "live"), _view("Stream", "stream"))
