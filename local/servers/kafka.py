"""Kafka: one broker, which is also its controller."""

import base64
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include.clients.kafka import create_admin
from include.contracts.errors import TerminalError
from include.contracts.health import check_kafka
from include.contracts.settings import LOOPBACK, LocalSettings, Settings
from local.config_files import render
from local.install import java
from local.layout import Layout, write_text
from local.program import Program

HEAP = "-Xmx512m"
CONNECT_TIMEOUT_S = 0.5
PROBE_TIMEOUT_MS = 3_000

_second: list[tuple[int, int]] = []


def program(settings: Settings, layout: Layout) -> Program:
    """Define the broker's process."""
    conf = layout.conf / "kafka"
    data = layout.data / "kafka"
    properties, logging = conf / "server.properties", conf / "log4j2.properties"
    return Program(
        name="kafka",
        title="Kafka",
        command=(
            *(java.java(), HEAP, "-XX:+UseG1GC", "-XX:-UsePerfData", f"-Djava.io.tmpdir={layout.tmp}"),
            *(f"-Dlog4j2.configurationFile={logging}", "-cp", java.kafka_classpath(), "kafka.Kafka", str(properties)),
        ),
        priority=100,
        probe=lambda: probe(settings.local),
        address=f"{LOOPBACK}:{settings.local.ports.kafka}",
        ports={"Kafka": settings.local.ports.kafka, "Kafka's controller": settings.local.ports.kafka_controller},
        files=lambda: {properties: _properties(settings, data), logging: render("kafka/log4j2.properties")},
        prepare=lambda: _format(settings, conf, data),
    )


def probe(settings: LocalSettings) -> str | None:
    """Probe by a metadata request, whose response must have at least one broker."""
    # The client would wait its whole timeout for a broker that is not available yet.
    socket.create_connection((LOOPBACK, settings.ports.kafka), CONNECT_TIMEOUT_S).close()
    admin = create_admin(
        f"{LOOPBACK}:{settings.ports.kafka}", request_ms=PROBE_TIMEOUT_MS, bootstrap_ms=PROBE_TIMEOUT_MS
    )
    try:
        return check_kafka(admin.describe_cluster()["brokers"])
    finally:
        admin.close()


@contextmanager
def second_listener(port: int, advertised_port: int) -> Iterator[None]:
    """Let brokers that start in this block listen on a second port and advertise another port for it.

    A proxy can then run between the broker and the clients that bootstrap through it.
    """
    _second.append((port, advertised_port))
    try:
        yield
    finally:
        _second.clear()


def _properties(settings: Settings, data: Path) -> str:
    """Render the file of `config/` with the values of this stack."""
    broker = f"{LOOPBACK}:{settings.local.ports.kafka}"
    controller = f"{LOOPBACK}:{settings.local.ports.kafka_controller}"
    values = {
        "controller.quorum.voters": f"1@{controller}",
        "listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{broker}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": data,
        "num.partitions": settings.kafka.partitions,
    }
    for port, advertised_port in _second:
        values["listeners"] = f"{values['listeners']},PROXIED://{LOOPBACK}:{port}"
        values["advertised.listeners"] = f"{values['advertised.listeners']},PROXIED://{LOOPBACK}:{advertised_port}"
        values["listener.security.protocol.map"] = f"{values['listener.security.protocol.map']},PROXIED:PLAINTEXT"
    return render("kafka/server.properties") + "".join(f"{key}={value}\n" for key, value in values.items())


def _format(settings: Settings, conf: Path, data: Path) -> None:
    """Format the storage with its cluster id, once; an interrupted attempt is repeated."""
    if data.exists():
        return
    draft = data.with_name("kafka.formatting")
    shutil.rmtree(draft, ignore_errors=True)
    properties = conf / "format.properties"
    write_text(properties, _properties(settings, draft), mode=0o600)
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
    tool = (java.java(), "-XX:-UsePerfData", "-cp", java.kafka_classpath(), "kafka.tools.StorageTool")
    command = [*tool, "format", "-t", cluster, "-c", str(properties)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise TerminalError(f"formatting Kafka's storage failed: {done.stdout.strip()[-300:]}", f"see {draft}")
    properties.unlink()
    draft.rename(data)
