"""Flink: a JobManager and a TaskManager of the cluster in PyFlink's wheel."""

from pathlib import Path
from typing import Any

import httpx

from include.contracts.health import FLINK_PATH, check_flink
from include.contracts.setting import Secret
from include.contracts.settings import LOOPBACK, LocalSettings, Settings
from local.config_files import render
from local.install import java
from local.install.environments import python_of
from local.install.flink_jar import ensure_flink_jar, flink_home, jar_path
from local.layout import Layout
from local.program import Program
from local.project import ROOT

SLOTS_SPARE = 1
TASKMANAGER_MEMORY_MB = 1_728
TASKMANAGER_MEMORY_MB_MORE = 512
PROBE_TIMEOUT_S = 3.0


def programs(settings: Settings, layout: Layout) -> tuple[Program, Program]:
    """Define the cluster's two processes, which do not get the pseudonym key."""
    conf = layout.conf / "flink"
    home = flink_home()
    config = conf / "config.yaml"
    logging = conf / "log4j-console.properties"

    def files() -> dict[Path, str]:
        return {config: _config(settings, layout), logging: render("flink/log4j-console.properties")}

    def prepare() -> None:
        for folder in (data_dir(layout), layout.run / "flink"):
            folder.mkdir(parents=True, exist_ok=True)
        ensure_flink_jar()
        _link_libraries(conf / "lib", home)

    environment = {
        # The jar's name is in the environment, because both must restart when it changes.
        **settings.replace(
            gate={"pseudonym_key": Secret("")}, batch={"noise_key": Secret("")}, flink={"jar": str(jar_path())}
        ).to_env(),
        "JAVA_HOME": str(java.java_home()),
        "FLINK_HOME": str(home),
        # Otherwise Flink's scripts resolve links, and with them the path without spaces.
        "_FLINK_HOME_DETERMINED": "1",
        "FLINK_CONF_DIR": str(conf),
        "FLINK_LIB_DIR": str(conf / "lib"),
        "FLINK_LOG_DIR": str(layout.log),
        "FLINK_PID_DIR": str(layout.run / "flink"),
        "PYTHONPATH": str(ROOT),
    }
    rest = f"http://{LOOPBACK}:{settings.local.ports.flink_rest}"
    manager = Program(
        name="flink-jobmanager",
        title="Flink JobManager",
        command=(str(home / "bin" / "jobmanager.sh"), "start-foreground"),
        priority=400,
        probe=lambda: probe_rest(settings.local),
        address=rest,
        environment=environment,
        ports={
            "Flink's REST": settings.local.ports.flink_rest,
            "Flink's JobManager": settings.local.ports.flink_rpc,
            "Flink's blob server": settings.local.ports.flink_blob,
        },
        files=files,
        prepare=prepare,
    )
    worker = Program(
        name="flink-taskmanager",
        title="Flink TaskManager",
        command=(str(home / "bin" / "taskmanager.sh"), "start-foreground", "-D", f"taskmanager.host={LOOPBACK}"),
        priority=500,
        probe=lambda: probe_slots(settings.local),
        address=f"{LOOPBACK}:{settings.local.ports.flink_taskmanager_rpc}",
        # The key is part of the job, because Flink logs a Python worker's environment when it dies.
        environment={**environment, "SHOWROOM_ELASTICSEARCH_API_KEY": ""},
        ports={
            "Flink's TaskManager": settings.local.ports.flink_taskmanager_rpc,
            "Flink's TaskManager data": settings.local.ports.flink_taskmanager_data,
        },
        files=files,
        prepare=prepare,
    )
    return manager, worker


def probe_rest(settings: LocalSettings) -> str | None:
    """Probe the JobManager's REST endpoint."""
    _overview(settings)
    return None


def probe_slots(settings: LocalSettings) -> str | None:
    """Probe for a registered TaskManager with a slot."""
    return check_flink(_overview(settings)["slots-total"])


def data_dir(layout: Layout) -> Path:
    """Create the folders of checkpoints, savepoints and uploaded jars."""
    return layout.data / "flink"


def _overview(settings: LocalSettings) -> dict[str, Any]:
    url = f"http://{LOOPBACK}:{settings.ports.flink_rest}{FLINK_PATH}"
    response: dict[str, Any] = httpx.get(url, timeout=PROBE_TIMEOUT_S).raise_for_status().json()
    return response


def _link_libraries(folder: Path, home: Path) -> None:
    """Link Flink's own jars, the Kafka connector and the project's jar into a folder.

    A job submitted over REST has its `pipeline.jars` overwritten, so a connector must be on the class path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jars = {jar.name: jar for jar in (*(home / "lib").glob("*.jar"), java.flink_kafka_connector(), jar_path())}
    for link in folder.iterdir():
        if jars.get(link.name) != link.readlink():
            link.unlink()
    for name, jar in jars.items():
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(jar)


def _config(settings: Settings, layout: Layout) -> str:
    ports = settings.local.ports
    memory = TASKMANAGER_MEMORY_MB + TASKMANAGER_MEMORY_MB_MORE * (settings.stream.parallelism - 1)
    variables = {
        "FLINK_JAVA_OPTS": f"-XX:-UsePerfData {java.scratch(layout.tmp)}",
        "FLINK_JOBMANAGER_HOST": LOOPBACK,
        "FLINK_JOBMANAGER_PORT": ports.flink_rpc,
        "FLINK_BIND_HOST": LOOPBACK,
        "FLINK_BLOB_PORT": ports.flink_blob,
        "FLINK_REST_PORT": ports.flink_rest,
        "FLINK_TASKMANAGER_PORT": ports.flink_taskmanager_rpc,
        "FLINK_TASKMANAGER_DATA_PORT": ports.flink_taskmanager_data,
        "FLINK_TASKMANAGER_MEMORY": f"{memory}m",
        "FLINK_TASKMANAGER_SLOTS": settings.stream.parallelism + SLOTS_SPARE,
        "FLINK_STATE_PATH": data_dir(layout),
        "FLINK_TMP_PATH": layout.run / "flink",
        "FLINK_PYTHON": python_of("flink"),
    }
    return render("flink/config.yaml", variables)
