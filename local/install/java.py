"""Java, and the servers that Maven fetches once for each content of their POMs and sources."""

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
    """Return the home of the Java that runs all servers.

    Raises:
        PrerequisiteError: Java is not installed.
    """
    if named := os.environ.get("JAVA_HOME"):
        return Path(named)
    result = shutil.which("java")
    if result is None:
        raise PrerequisiteError("java is not installed", "run ./showroom --help once; it installs Java or prints how")
    return Path(result).resolve().parents[1]


def java() -> str:
    """Return the path of the java executable."""
    return str(java_home() / "bin" / "java")


def scratch(folder: Path) -> str:
    """Return the JVM option for the folder of temporary files; empty if a server's script would split the path."""
    return "" if any(mark.isspace() for mark in str(folder)) else f"-Djava.io.tmpdir={folder}"


def kafka_classpath() -> str:
    """Return the class path of the Kafka broker and its tools."""
    return f"{JAVA / 'kafka'}/*"


def elasticsearch_home() -> Path:
    """Return the folder of Elasticsearch, which may not be fetched yet."""
    return JAVA / "elasticsearch"


def mongodb_classpath() -> str:
    """Return the class path of the MongoDB stand-in, whose main class is `MongodbStandIn`."""
    return f"{JAVA / 'mongodb' / 'classes'}{os.pathsep}{JAVA / 'mongodb'}/*"


def flink_kafka_connector() -> Path:
    """Return the path of the connector jar with which Flink jobs read and write Kafka."""
    return JAVA / "flink" / "flink-sql-connector-kafka.jar"


def ensure_java(on_progress: Callable[[str], None] = lambda _: None) -> None:
    """Fetch the servers with Maven unless they are current; `on_progress` receives progress lines.

    Raises:
        PrerequisiteError: Java or Maven is missing, or Maven or the compiler failed.
    """
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
        # The archive contains one folder, whose name has the version.
        next((JAVA / "build" / "elasticsearch").iterdir()).rename(elasticsearch_home())
        shutil.rmtree(JAVA / "build")
        write_text(STAMP, expected)
        on_progress(f"servers are in {JAVA.relative_to(ROOT)}")


def _stamp() -> str:
    return STAMP.read_text() if STAMP.exists() else ""


def run_maven(pom: Path, into: Path, lock: int) -> None:
    """Fetch the artefacts of a pom.xml into a folder.

    Args:
        pom: It copies or unpacks into the property `into` in the phase `package`.
        into: The folder.
        lock: File descriptor of the held lock on the folder, which Maven inherits.

    Raises:
        PrerequisiteError: Maven is missing or failed.
    """
    if shutil.which("mvn") is None:
        raise PrerequisiteError("mvn is not installed", "run ./showroom --help once; it installs Maven or prints how")
    command = ["mvn", "--batch-mode", "--no-transfer-progress", "--file", str(pom), f"-Dinto={into}", "package"]
    # Because Maven runs in the caller's folder, whose name Java must decode.
    environment = {**os.environ, "LC_ALL": LOCALE}
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        check=False,
        # Because Maven outlives a killed caller: the lock must last until it ends.
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
    """Compile sources into a folder of classes.

    Raises:
        PrerequisiteError: The compiler failed; has its message.
    """
    jars = os.pathsep.join(map(str, classpath))
    # The compiler is a jar, because a Java runtime has no compiler.
    compiler = (java(), "-jar", str(JAVA / "compiler" / "ecj.jar"), "-17", "-proc:none")
    command = (*compiler, "-classpath", jars, "-d", str(into), *map(str, sources))
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        reason = " ".join(done.stdout.split())[-400:]
        raise PrerequisiteError(f"compiling {into.parent.name} failed: {reason}", "use Java 17 or newer")
