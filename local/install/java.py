"""Java, and the servers that Maven fetches: once for each content of what describes them."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from include.contracts.errors import PrerequisiteError
from local.layout import write_text
from local.project import JAVA, LOCALE, ROOT, SHOWROOM

POM = ROOT / "local" / "install" / "pom.xml"
MONGODB = ROOT / "local" / "servers" / "mongodb_stand_in"
MONGODB_POM = MONGODB / "pom.xml"
MONGODB_SOURCES = (MONGODB / "BsonBackend.java", MONGODB / "MongodbStandIn.java")
STAMP = JAVA / "stamp"


def java_home() -> Path:
    """The folder of the Java that runs all servers; PrerequisiteError when there is none."""
    if named := os.environ.get("JAVA_HOME"):
        return Path(named)
    result = shutil.which("java")
    if result is None:
        raise PrerequisiteError("java is not installed", "run ./showroom --help once, it installs Java or says how to")
    return Path(result).resolve().parents[1]


def java() -> str:
    """Path of the java executable."""
    return str(java_home() / "bin" / "java")


def scratch(folder: Path) -> str:
    """The option that keeps Java's scratch files in a folder; empty where a server's script would split the path."""
    return "" if any(mark.isspace() for mark in str(folder)) else f"-Djava.io.tmpdir={folder}"


def kafka_classpath() -> str:
    """Class path of the Kafka broker and its tools."""
    return f"{JAVA / 'kafka'}/*"


def elasticsearch_home() -> Path:
    """The unpacked Elasticsearch, whether it was fetched or not."""
    return JAVA / "elasticsearch"


def mongodb_classpath() -> str:
    """Class path of the stand-in for MongoDB, whose main class is `MongodbStandIn`."""
    return f"{JAVA / 'mongodb' / 'classes'}{os.pathsep}{JAVA / 'mongodb'}/*"


def flink_kafka_connector() -> Path:
    """The connector jar that Flink jobs need to read and write Kafka."""
    return JAVA / "flink" / "flink-sql-connector-kafka.jar"


def ensure_java(on_progress: Callable[[str], None] = lambda _: None) -> None:
    """Fetch the servers with Maven unless those of these sources are there; `on_progress` gets progress lines."""
    expected = hashlib.sha256(b"".join(path.read_bytes() for path in (POM, MONGODB_POM, *MONGODB_SOURCES))).hexdigest()
    if _stamp() == expected:
        return
    SHOWROOM.mkdir(exist_ok=True)
    with (SHOWROOM / "java.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _stamp() == expected:
            return
        on_progress(
            "fetching Kafka, Elasticsearch, MongoDB's stand-in and Flink's connector with Maven (180 MB at first)"
        )
        shutil.rmtree(JAVA, ignore_errors=True)
        for pom in (POM, MONGODB_POM):
            run_maven(pom, JAVA, lock.fileno())
        _compile_stand_in()
        # The archive holds one folder, named after its version.
        next((JAVA / "build" / "elasticsearch").iterdir()).rename(elasticsearch_home())
        shutil.rmtree(JAVA / "build")
        write_text(STAMP, expected)
        on_progress(f"servers are in {JAVA.relative_to(ROOT)}")


def _stamp() -> str:
    return STAMP.read_text() if STAMP.exists() else ""


def run_maven(pom: Path, into: Path, lock: int) -> None:
    """Fetch what a pom.xml names into a folder.

    Args:
        pom: It copies or unpacks into the property `into` in the phase `package`.
        into: The folder.
        lock: File descriptor of the held lock on the folder, which Maven inherits.

    Raises:
        PrerequisiteError: Maven is missing or failed.
    """
    if shutil.which("mvn") is None:
        raise PrerequisiteError("mvn is not installed", "run ./showroom --help once, it installs Maven or says how to")
    command = ["mvn", "--batch-mode", "--no-transfer-progress", "--file", str(pom), f"-Dinto={into}", "package"]
    # Maven is started in the caller's folder, whose name Java must be able to read.
    environment = {**os.environ, "LC_ALL": LOCALE}
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        check=False,
        # Maven outlives a caller that is killed; until it ends, nobody else may write here.
        pass_fds=(lock,),
    )
    if done.returncode != 0:
        log = SHOWROOM / "java.log"
        write_text(log, done.stdout)
        reason = next((line for line in done.stdout.splitlines() if line.startswith("[ERROR]")), "no reason given")
        raise PrerequisiteError(
            f"mvn package failed for {pom.relative_to(ROOT)}: {reason}", f"see {log.relative_to(ROOT)}"
        )


def _compile_stand_in() -> None:
    compile_java(MONGODB_SOURCES, sorted((JAVA / "mongodb").glob("*.jar")), JAVA / "mongodb" / "classes")


def compile_java(sources: Iterable[Path], classpath: Iterable[Path], into: Path) -> None:
    """Compile sources into a folder of classes; PrerequisiteError with the compiler's message when that fails."""
    jars = os.pathsep.join(map(str, classpath))
    # A compiler in a jar, because a Java runtime has none of its own.
    compiler = (java(), "-jar", str(JAVA / "compiler" / "ecj.jar"), "-17", "-proc:none")
    command = (*compiler, "-classpath", jars, "-d", str(into), *map(str, sources))
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        reason = " ".join(done.stdout.split())[-400:]
        raise PrerequisiteError(f"compiling {into.parent.name} failed: {reason}", "use Java 17 or newer")
