"""The stand-in for MongoDB: its wire protocol on one file; each acknowledged write is on disk."""

from include.clients.mongodb import connect
from include.contracts.health import check_mongodb
from include.contracts.settings import LOOPBACK, LocalSettings
from local.install import java
from local.layout import Layout
from local.program import Program

MAIN = "MongodbStandIn"
HEAP = "-Xmx1g"
FILE = "archive.mv"
PROBE_TIMEOUT_MS = 3_000


def program(settings: LocalSettings, layout: Layout) -> Program:
    """Define the server's process."""
    data = layout.data / "mongodb"
    return Program(
        name="mongodb",
        title="MongoDB stand-in",
        command=(
            *(java.java(), HEAP, "-XX:+UseParallelGC", "-XX:-UsePerfData", f"-Djava.io.tmpdir={layout.tmp}"),
            # The stand-in sorts in memory. Exit on OutOfMemoryError, so that supervisord restarts it.
            "-XX:+ExitOnOutOfMemoryError",
            *("-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.log.io.netty=warn"),
            *("-cp", java.mongodb_classpath(), MAIN, LOOPBACK, str(settings.ports.mongodb), str(data / FILE)),
        ),
        priority=350,
        probe=lambda: probe(settings),
        address=f"mongodb://{LOOPBACK}:{settings.ports.mongodb}",
        ports={"MongoDB": settings.ports.mongodb},
        prepare=lambda: data.mkdir(exist_ok=True),
    )


def probe(settings: LocalSettings) -> str | None:
    """Probe by a ping."""
    address = f"mongodb://{LOOPBACK}:{settings.ports.mongodb}"
    with connect(address, server_selection_ms=PROBE_TIMEOUT_MS) as client:
        response = client.admin.command("ping")
    return check_mongodb(response)
