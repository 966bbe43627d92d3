"""The project's jar for Flink: loopback servers for Python workers, and access checks of the REST interface."""

import fcntl
import hashlib
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from local.install.environments import python_of
from local.install.java import compile_java
from local.project import ROOT, SHOWROOM

SOURCES = ROOT / "flink" / "java"
FOLDER = SHOWROOM / "flink-jar"
DIGEST_LENGTH = 12


def flink_home() -> Path:
    """Return PyFlink's package folder, a complete Flink, which may not be installed yet."""
    return python_of("flink").parents[1] / "lib" / "python3.11" / "site-packages" / "pyflink"


def jar_name() -> str:
    """Return the name of the jar. It changes with the sources, so that processes of an older jar are restarted."""
    content = b"".join(path.read_bytes() for path in _sources())
    return f"showroom-flink-{hashlib.sha256(content).hexdigest()[:DIGEST_LENGTH]}.jar"


def jar_path() -> Path:
    """Return the path of the jar, which may not be built yet."""
    return FOLDER / jar_name()


def ensure_flink_jar(on_progress: Callable[[str], None] = lambda _: None) -> Path:
    """Compile the jar unless it exists; return its path. Requires the Java servers and the flink environment."""
    jar = jar_path()
    if jar.exists():
        return jar
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (SHOWROOM / "flink-jar.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jar.exists():
            on_progress(f"compiling {SOURCES.relative_to(ROOT)}")
            _build(jar)
    return jar


def _build(jar: Path) -> None:
    home = flink_home()
    libraries = (*(home / "opt").glob("flink-python-*.jar"), *(home / "lib").glob("flink-dist-*.jar"))
    with TemporaryDirectory(dir=FOLDER) as scratch:
        classes = Path(scratch) / "flink"
        compile_java([path for path in _sources() if path.suffix == ".java"], libraries, classes)
        draft = Path(scratch) / jar.name
        with zipfile.ZipFile(draft, "w") as archive:
            for path in sorted(classes.rglob("*.class")):
                archive.write(path, path.relative_to(classes))
            for path in sorted((SOURCES / "META-INF").rglob("*")):
                archive.write(path, path.relative_to(SOURCES))
        for old in FOLDER.glob("*.jar"):
            old.unlink()
        shutil.move(draft, jar)
        jar.chmod(0o644)


def _sources() -> list[Path]:
    return sorted(path for path in SOURCES.rglob("*") if path.is_file())
