"""Health check of containers with an image of this project: `health.py gate` exits with 0 if its server is healthy.

include/contracts/health.py defines healthy.
"""

import json
import os
import socket
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any
from urllib.request import Request, urlopen

from include.contracts.health import (
    AIRFLOW_PATH,
    FLINK_PATH,
    MLFLOW_PATH,
    check_airflow,
    check_flink,
    check_gate,
    heartbeat_ages,
)

AIRFLOW = "http://airflow-api:8080"
FLINK = "http://flink-jobmanager:8081"
MLFLOW = "http://127.0.0.1:5000"
TIMEOUT_S = 4.0
REDIS_TIMEOUT_S = 3.0


def _get(url: str, headers: Mapping[str, str] | None = None) -> Any:
    with urlopen(Request(url, headers=dict(headers or {})), timeout=TIMEOUT_S) as response:
        return json.load(response)


def airflow(component: str) -> str | None:
    """Return why metadatabase, scheduler, dag_processor or triggerer is unhealthy; None if it is healthy."""
    return check_airflow(_get(f"{AIRFLOW}{AIRFLOW_PATH}"), component)


def flink_jobmanager() -> str | None:
    """Raise an error unless the JobManager responds."""
    _get(f"{FLINK}{FLINK_PATH}")
    return None


def flink_taskmanager() -> str | None:
    """Return what is missing: the JobManager must list this container's address, with a slot."""
    own = socket.gethostbyname(socket.gethostname())
    managers = _get(f"{FLINK}/taskmanagers")["taskmanagers"]
    return check_flink(sum(manager["slotsNumber"] for manager in managers if f"@{own}:" in manager["path"]))


def mlflow() -> str | None:
    """Raise an error unless MLflow responds to its user from its database."""
    login = f"{os.environ['MLFLOW_AUTH_ADMIN_USERNAME']}:{os.environ['MLFLOW_AUTH_ADMIN_PASSWORD']}"
    _get(f"{MLFLOW}{MLFLOW_PATH}", {"Authorization": f"Basic {b64encode(login.encode()).decode()}"})
    return None


def gate() -> str | None:
    """Return the partitions without a gate process."""
    # Only the gate's image has these libraries.
    from include.clients.redis import connect
    from include.contracts import redis_keys
    from include.contracts.settings import Settings

    settings = Settings.from_env(os.environ)
    url = settings.redis.url.reveal()
    with connect(url, timeout_s=REDIS_TIMEOUT_S) as client:
        beats = client.mget([redis_keys.heartbeat(partition) for partition in range(settings.kafka.partitions)])
    return check_gate(heartbeat_ages(beats, time.time()), settings.supervise.gate_heartbeat_timeout_s)


CHECKS: dict[str, Callable[..., str | None]] = {
    "airflow": airflow,
    "flink-jobmanager": flink_jobmanager,
    "flink-taskmanager": flink_taskmanager,
    "gate": gate,
    "mlflow": mlflow,
}

if __name__ == "__main__":
    sys.exit(CHECKS[sys.argv[1]](*sys.argv[2:]))
