"""Python environments, built by uv from hashed locks once for each content of a lock."""

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
MIN_PYTHON: dict[Environment, tuple[int, int]] = {"dashboards": (3, 12)}
"""Minimum Python version of environments that need a newer one than the project's."""
UV = VENVS / "bootstrap" / "bin" / "uv"


def python_of(name: Environment) -> Path:
    """Return the interpreter of an environment, which may not be built yet."""
    return VENVS / name / "bin" / "python"


def ensure_environment(name: Environment, on_progress: Callable[[str], None] = lambda _: None) -> Path:
    """Build an environment unless it matches its lock.

    Args:
        name: Name of the environment.
        on_progress: Receives progress lines.

    Returns:
        The interpreter of the environment.

    Raises:
        PrerequisiteError: The build failed.
    """
    python, stamp, expected = python_of(name), VENVS / name / "stamp", _fingerprint(name)
    if _is_current(python, stamp, expected):
        return python
    VENVS.mkdir(parents=True, exist_ok=True)
    with (VENVS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_current(python, stamp, expected):
            return python
        on_progress(f"installing environment {name} from {LOCKS[name].relative_to(ROOT)}")
        stamp.unlink(missing_ok=True)
        if not os.access(python, os.X_OK):
            _uv("venv", "--quiet", "--clear", "--python", str(base_python(name)), str(VENVS / name))
        _uv("pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(LOCKS[name]))
        write_text(stamp, expected)
        return python


def _fingerprint(name: Environment) -> str:
    # With the folder, because scripts of an environment contain its absolute path.
    return hashlib.sha256(LOCKS[name].read_bytes() + str(VENVS).encode()).hexdigest()


def _is_current(python: Path, stamp: Path, expected: str) -> bool:
    return os.access(python, os.X_OK) and stamp.exists() and stamp.read_text().strip() == expected


def base_python(name: Environment) -> Path:
    """Return the interpreter that an environment is built with.

    Raises:
        PrerequisiteError: The environment needs a newer version than is installed.
    """
    if name not in MIN_PYTHON:
        return VENVS / "bootstrap" / "bin" / "python"
    min_version = MIN_PYTHON[name]
    result = next((python for python in _newer_pythons(min_version) if _has_version(python, min_version)), None)
    if result is None:
        expected = ".".join(map(str, min_version))
        raise PrerequisiteError(
            f"environment {name} needs Python {expected} or newer, and none is on PATH or under pyenv",
            f"run: pyenv install {expected}, or put a python{expected} on PATH",
        )
    return result


def _newer_pythons(min_version: tuple[int, int]) -> Iterator[Path]:
    """Yield candidates of Python with at least this version, lowest version first."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in range(min_version[1], min_version[1] + 5):
        name = f"python{min_version[0]}.{minor}"
        yield from sorted(versions.glob(f"{min_version[0]}.{minor}*/bin/{name}"))
        on_path = shutil.which(name)
        if on_path:
            yield Path(on_path)


def _has_version(python: Path, min_version: tuple[int, int]) -> bool:
    """Return whether an interpreter starts and has at least a version. A shim of pyenv may have no target."""
    script = f"import sys, venv; sys.exit(sys.version_info[:2] < {min_version})"
    try:
        return subprocess.run([str(python), "-c", script], capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _uv(*arguments: str) -> None:
    temp_folder = SHOWROOM / "tmp"
    temp_folder.mkdir(exist_ok=True)
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "TMPDIR": str(temp_folder)}
    environment.pop("VIRTUAL_ENV", None)
    done = subprocess.run([str(UV), *arguments], stderr=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())[-400:]
        raise PrerequisiteError(f"uv {arguments[0]} failed: {reason}", "check that the package index can be reached")
