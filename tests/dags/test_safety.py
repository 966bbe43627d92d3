"""Exposure of the complete platform, including Airflow and MLflow, to other users of the machine."""

from __future__ import annotations

from include.clients.flink import FlinkRest
from include.contracts.settings import Settings
from include.supervise.stream_job import get_job_status
from local.stack import Stack
from tests.exposure import listening_programs, paths_of_others, sockets_beyond_loopback
from tests.polling import eventually

SERVERS = {"elasticsearch", "flink-jobmanager", "flink-taskmanager", "kafka", "mlflow", "mongodb", "redis"}


def runs(settings: Settings) -> bool:
    """Return whether the whole job runs, so that its Python workers listen."""
    with FlinkRest(settings.flink) as flink:
        seen = get_job_status(flink)
    return seen is not None and seen.state == "RUNNING" and not seen.idle_tasks and bool(seen.checkpoints)


def test_platform_processes_listen_on_loopback_only(settings: Settings, platform: Stack) -> None:
    eventually(lambda: runs(settings), within_s=180)

    assert listening_programs(platform.layout) >= {"airflow-api", *SERVERS}
    assert sockets_beyond_loopback(platform.layout) == []


def test_platform_files_are_private(platform: Stack) -> None:
    assert paths_of_others(platform.layout) == []
