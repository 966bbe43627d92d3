"""The logins of a local stack's Airflow."""

from include.clients.airflow import AirflowApi, Login
from include.contracts.errors import TerminalError
from include.contracts.settings import Settings
from local.layout import Layout
from local.servers.airflow import USER, VIEWER, read_keys


def connect_airflow(settings: Settings, layout: Layout) -> AirflowApi:
    """Return a client of a stack's Airflow, for the administrator. Raises TerminalError as `login`."""
    return AirflowApi(settings.airflow.url, login(layout))


def login(layout: Layout) -> Login:
    """The administrator and the password of a stack; TerminalError before it was ever started."""
    keys = read_keys(layout)
    if keys is None:
        raise TerminalError("this stack's Airflow has no password yet", "start it with ./showroom up")
    return Login(USER, keys.password)


def viewer_login(layout: Layout) -> Login:
    """The user who can only look, and the password; TerminalError before the stack was started with one."""
    keys = read_keys(layout)
    if keys is None or not keys.viewer:
        raise TerminalError("this stack's Airflow has no viewer yet", "start it with ./showroom up")
    return Login(VIEWER, keys.viewer)
