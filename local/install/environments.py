"""The Python environments: built by uv from hashed locks, once for each content of a lock."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from include.contracts.errors import PrerequisiteError
from local.layout import write_text
from local.project import ROOT, SHOWROOM, VENVS

Environment = Literal["dev", "flink", "airflow", "ml", "dashboards"]

LOCKS: dict[Environment, Path] = {
    "dev": ROOT / "requirements" / "dev.txt",
    "flink": ROOT / "requirements" / "flink.txt",
    "airflow": ROOT / "requirements.txt",
    "ml": ROOT / "requirements" / "ml.txt",
    "dashboards": ROOT / "requirements" / "dashboards.txt",
}
NEWER: dict[Environment, tuple[int, int]] = {"dashboards": (3, 12)}
"""Environments whose packages ask for a newer Python than the project's own, and which at least."""
UV = VENVS / "bootstrap" / "bin" / "uv"


def python_of(name: Environment) -> Path:
    """The interpreter of an environment, whether it is built or not."""
    return VENVS / name / "bin" / "python"


def ensure_environment(name: Environment, on_progress: Callable[[str], None] = lambda _: None) -> Path:
    """Build an environment unless it fits its lock; returns its interpreter. `on_progress` gets progress lines."""
    python, stamp, expected = python_of(name), VENVS / name / "stamp", _fingerprint(name)
    if _fits(python, stamp, expected):
        return python
    VENVS.mkdir(parents=True, exist_ok=True)
    with (VENVS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _fits(python, stamp, expected):
            return python
        on_progress(f"installing environment {name} from {LOCKS[name].relative_to(ROOT)}")
        stamp.unlink(missing_ok=True)
        if not os.access(python, os.X_OK):
            _uv("venv", "--quiet", "--clear", "--python", str(base_python(name)), str(VENVS / name))
        _uv("pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(LOCKS[name]))
        write_text(stamp, expected)
        return python


def _fingerprint(name: Environment) -> str:
    # The folder counts: scripts of an environment hold its absolute path.
    return hashlib.sha256(LOCKS[name].read_bytes() + str(VENVS).encode()).hexdigest()


def _fits(python: Path, stamp: Path, expected: str) -> bool:
    return os.access(python, os.X_OK) and stamp.exists() and stamp.read_text().strip() == expected


def base_python(name: Environment) -> Path:
    """The interpreter an environment is made from.

    Raises PrerequisiteError for an environment that asks for a newer one than there is.
    """
    if name not in NEWER:
        return VENVS / "bootstrap" / "bin" / "python"
    least = NEWER[name]
    result = next((python for python in _newer_pythons(least) if _fits_version(python, least)), None)
    if result is None:
        expected = ".".join(map(str, least))
        raise PrerequisiteError(
            f"environment {name} needs Python {expected} or newer, and none is on PATH or under pyenv",
            f"run: pyenv install {expected}, or put a python{expected} on PATH",
        )
    return result


def _newer_pythons(least: tuple[int, int]) -> Iterator[Path]:
    """What may be a Python of at least this version, the nearest version first."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in range(least[1], least[1] + 5):
        name = f"python{least[0]}.{minor}"
        yield from sorted(versions.glob(f"{least[0]}.{minor}*/bin/{name}"))
        on_path = shutil.which(name)
        if on_path:
            yield Path(on_path)


def _fits_version(python: Path, least: tuple[int, int]) -> bool:
    """Whether it starts and is that new: a shim of pyenv may lead nowhere."""
    request = f"import sys, venv; sys.exit(sys.version_info[:2] < {least})"
    try:
        return (
            subprocess.run([str(python), "-c", request], capture_output=True, timeout=20, check=False).returncode == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def _uv(*arguments: str) -> None:
    scratch = SHOWROOM / "tmp"
    scratch.mkdir(exist_ok=True)
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "TMPDIR": str(scratch)}
    environment.pop("VIRTUAL_ENV", None)
    done = subprocess.run([str(UV), *arguments], stderr=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())[-400:]
        raise PrerequisiteError(f"uv {arguments[0]} failed ({reason})", "check that the package index can be reached")
