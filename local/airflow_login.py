"""Logins of a local stack's Airflow."""

from include.clients.airflow import AirflowApi, Login
from include.contracts.errors import TerminalError
from include.contracts.settings import AirflowSettings
from local.layout import Layout
from local.servers.airflow import USER, VIEWER, read_keys


def connect_airflow(settings: AirflowSettings, layout: Layout) -> AirflowApi:
    """Return a client of a stack's Airflow with the administrator's login. Raises like `login`."""
    return AirflowApi(settings.url, login(layout))


def login(layout: Layout) -> Login:
    """Return the administrator's login of a stack.

    Raises:
        TerminalError: The stack was never started.
    """
    keys = read_keys(layout)
    if keys is None:
        raise TerminalError("the Airflow of this stack has no password yet", "start it with ./showroom up")
    return Login(USER, keys.password)


def viewer_login(layout: Layout) -> Login:
    """Return the read-only user's login of a stack.

    Raises:
        TerminalError: The stack was never started with this version.
    """
    keys = read_keys(layout)
    if keys is None or not keys.viewer:
        raise TerminalError("this stack's Airflow has no viewer yet", "start it with ./showroom up")
    return Login(VIEWER, keys.viewer)
