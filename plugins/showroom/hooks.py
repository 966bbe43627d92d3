"""Airflow's way to the Flink cluster."""

from airflow.sdk import BaseHook

from include.clients.flink import FlinkRest
from include.contracts.settings import Settings
from showroom.environment import settings


class FlinkHook(BaseHook):
    """The typed REST client of the cluster the settings name, or a connection where one is given.

    The connection's host and port are used, and its schema (`http` by default) as scheme.
    """

    conn_type = "flink"
    hook_name = "Flink"
    default_conn_name = "flink_default"

    def __init__(self, flink_conn_id: str | None = None) -> None:
        super().__init__()
        self.flink_conn_id = flink_conn_id

    def settings(self) -> Settings:
        """The settings, with the connection's address where there is one."""
        current = settings()
        if self.flink_conn_id is None:
            return current
        found = self.get_connection(self.flink_conn_id)
        port = f":{found.port}" if found.port else ""
        return current.replace(flink_url=f"{found.schema or 'http'}://{found.host}{port}")

    def get_conn(self) -> FlinkRest:
        """A new client; close it after use."""
        return FlinkRest(self.settings())
