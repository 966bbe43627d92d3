"""Ports of the local stack: one table, shifted as a whole by an offset. All listen on loopback."""

from typing import NamedTuple


class Ports(NamedTuple):
    """Ports of the local stack: one block of a hundred, away from the servers' defaults.

    `gate_metrics` is the port of gate 0; each further gate process takes the next one.
    """

    kafka: int = 19000
    kafka_controller: int = 19001
    redis: int = 19002
    elasticsearch: int = 19003
    elasticsearch_transport: int = 19004
    flink_rest: int = 19005
    flink_rpc: int = 19006
    flink_blob: int = 19007
    flink_taskmanager_rpc: int = 19008
    flink_taskmanager_data: int = 19009
    mongodb: int = 19010
    airflow: int = 19011
    mlflow: int = 19012
    gate_metrics: int = 19020

    def shifted(self, offset: int) -> "Ports":
        """Return the table shifted by `offset`; stacks a hundred apart run beside each other."""
        return Ports(*(port + offset for port in self))
