"""Airflow's hook for the Flink cluster."""

from airflow.sdk import BaseHook

from include.clients.flink import FlinkRest
from include.contracts.settings import Settings
from showroom.settings import load_settings


class FlinkHook(BaseHook):
    """Connect to the cluster of the settings, or to that of a connection id.

    The connection's host and port are used, and its schema (`http` by default) as scheme.
    """

    conn_type = "flink"
    hook_name = "Flink"
    default_conn_name = "flink_default"

    def __init__(self, flink_conn_id: str | None = None) -> None:
        super().__init__()
        self.flink_conn_id = flink_conn_id

    def settings(self) -> Settings:
        """Return the settings, with the connection's address if a connection id is given."""
        settings = load_settings()
        if self.flink_conn_id is None:
            return settings
        connection = self.get_connection(self.flink_conn_id)
        port = f":{connection.port}" if connection.port else ""
        return settings.replace(flink={"url": f"{connection.schema or 'http'}://{connection.host}{port}"})

    def get_conn(self) -> FlinkRest:
        """Return a new client; close it after use."""
        return FlinkRest(self.settings().flink)
