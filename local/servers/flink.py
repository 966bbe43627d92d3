"""Flink: a JobManager and a TaskManager of the cluster that comes inside PyFlink's wheel."""

from pathlib import Path
from typing import Any

import httpx
import yaml

from include.contracts.setting import Secret
from include.contracts.settings import LOOPBACK, Settings
from local.install import java
from local.install.environments import python_of
from local.install.flink_jar import ensure_flink_jar, flink_home, jar_path
from local.layout import Layout
from local.program import Program
from local.project import ROOT

SLOTS_SPARE = 1
JOBMANAGER_MEMORY = "1024m"
TASKMANAGER_MEMORY_MB = 1_728
TASKMANAGER_MEMORY_MB_MORE = 512
PROBE_TIMEOUT_S = 3.0
LONGEST_LINE = 100_000

LOGGING = """\
status = warn
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %-5p %c{1} %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
logger.kafka.name = org.apache.kafka
logger.kafka.level = warn
logger.metrics.name = org.apache.flink.metrics
logger.metrics.level = error
logger.pekko.name = org.apache.pekko
logger.pekko.level = warn
"""


def programs(settings: Settings, layout: Layout) -> tuple[Program, Program]:
    """Define the cluster's two processes. The pseudonym key is none of their business."""
    conf = layout.conf / "flink"
    home = flink_home()
    config = conf / "config.yaml"
    logging = conf / "log4j-console.properties"

    def files() -> dict[Path, str]:
        return {config: yaml.safe_dump(_config(settings, layout, home), width=LONGEST_LINE), logging: LOGGING}

    def prepare() -> None:
        for folder in (data_dir(layout), layout.run / "flink"):
            folder.mkdir(parents=True, exist_ok=True)
        ensure_flink_jar()
        _link_libraries(conf / "lib", home)

    environment = {
        # The jar's name asks for a restart when it changes: it is on the class path of both.
        **settings.replace(
            gate={"pseudonym_key": Secret("")}, batch={"noise_key": Secret("")}, flink={"jar": str(jar_path())}
        ).to_env(),
        "JAVA_HOME": str(java.java_home()),
        "FLINK_HOME": str(home),
        # Otherwise Flink's scripts resolve links, and lose the plain path of a folder with spaces.
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
        probe=lambda: probe_rest(settings),
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
        command=(str(home / "bin" / "taskmanager.sh"), "start-foreground"),
        priority=500,
        probe=lambda: probe_slots(settings),
        address=f"{LOOPBACK}:{settings.local.ports.flink_taskmanager_rpc}",
        # The key travels inside the job; Flink logs a Python worker's environment when it dies.
        environment={**environment, "SHOWROOM_ELASTICSEARCH_API_KEY": ""},
        ports={
            "Flink's TaskManager": settings.local.ports.flink_taskmanager_rpc,
            "Flink's TaskManager data": settings.local.ports.flink_taskmanager_data,
        },
        files=files,
        prepare=prepare,
    )
    return manager, worker


def probe_rest(settings: Settings) -> str | None:
    """The JobManager's REST endpoint answers."""
    _overview(settings)
    return None


def probe_slots(settings: Settings) -> str | None:
    """At least one TaskManager with a slot has registered."""
    overview = _overview(settings)
    if overview["taskmanagers"] >= 1 and overview["slots-total"] >= 1:
        return None
    return "no TaskManager has registered"


def data_dir(layout: Layout) -> Path:
    """Checkpoints, savepoints and uploaded jars."""
    return layout.data / "flink"


def _overview(settings: Settings) -> dict[str, Any]:
    url = f"http://{LOOPBACK}:{settings.local.ports.flink_rest}/overview"
    response: dict[str, Any] = httpx.get(url, timeout=PROBE_TIMEOUT_S).raise_for_status().json()
    return response


def _link_libraries(folder: Path, home: Path) -> None:
    """Fill a folder with links to Flink's own jars, the Kafka connector and the project's jar.

    A job submitted over REST gets `pipeline.jars` overwritten, so a connector must be on the class path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jars = {jar.name: jar for jar in (*(home / "lib").glob("*.jar"), java.flink_kafka_connector(), jar_path())}
    for link in folder.iterdir():
        if jars.get(link.name) != link.readlink():
            link.unlink()
    for name, jar in jars.items():
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(jar)


def _config(settings: Settings, layout: Layout, home: Path) -> dict[str, Any]:
    shipped = yaml.safe_load((home / "conf" / "config.yaml").read_text())
    data, ports = data_dir(layout), settings.local.ports
    memory = TASKMANAGER_MEMORY_MB + TASKMANAGER_MEMORY_MB_MORE * (settings.stream.parallelism - 1)
    python = str(python_of("flink"))
    return {
        # As shipped: without its --add-opens the client dies with InaccessibleObjectException.
        "env.java.opts.all": f"{shipped['env']['java']['opts']['all']} -XX:-UsePerfData {java.scratch(layout.tmp)}",
        "jobmanager.rpc.address": LOOPBACK,
        "jobmanager.rpc.port": ports.flink_rpc,
        "jobmanager.bind-host": LOOPBACK,
        "jobmanager.memory.process.size": JOBMANAGER_MEMORY,
        "blob.server.port": str(ports.flink_blob),
        "rest.address": LOOPBACK,
        "rest.bind-address": LOOPBACK,
        "rest.port": ports.flink_rest,
        "rest.bind-port": str(ports.flink_rest),
        # Without it every page of any site may read the answers.
        "web.access-control-allow-origin": f"http://{LOOPBACK}:{ports.flink_rest}",
        "taskmanager.host": LOOPBACK,
        "taskmanager.bind-host": LOOPBACK,
        "taskmanager.rpc.port": str(ports.flink_taskmanager_rpc),
        "taskmanager.data.port": ports.flink_taskmanager_data,
        "taskmanager.memory.process.size": f"{memory}m",
        # Managed memory is divided by slots: no more of them than the job and one test beside it can use.
        "taskmanager.numberOfTaskSlots": settings.stream.parallelism + SLOTS_SPARE,
        "parallelism.default": settings.stream.parallelism,
        # It plans and coordinates: a lost stream waits for its start, not for its best code.
        "env.java.opts.jobmanager": "-XX:TieredStopAtLevel=1",
        # A TaskManager asks a JobManager that has come back again after a second, not after ten.
        "cluster.registration.error-delay": "1 s",
        "cluster.registration.max-timeout": "5 s",
        "heartbeat.interval": "2 s",
        "heartbeat.timeout": "10 s",
        "metrics.fetcher.update-interval": "1 s",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
        "execution.checkpointing.interval": f"{settings.stream.checkpoint_interval_s} s",
        "execution.checkpointing.dir": (data / "checkpoints").as_uri(),
        "execution.checkpointing.savepoint-dir": (data / "savepoints").as_uri(),
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.num-retained": 2,
        # A failed checkpoint is repeated; it is no reason to restart a job that is waiting for Elasticsearch.
        "execution.checkpointing.tolerable-failed-checkpoints": 1_000_000,
        "execution.checkpointing.incremental": True,
        "state.backend.type": "rocksdb",
        "web.upload.dir": str(data / "upload"),
        "web.tmpdir": str(layout.run / "flink"),
        "io.tmp.dirs": str(layout.run / "flink"),
        "python.executable": python,
        "python.client.executable": python,
    }
