"""The Python environments: built by uv from hashed locks, once for each content of a lock."""

import fcntl
import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from include.contracts.errors import PrerequisiteError
from include.local.layout import write_text
from include.local.project import ROOT, SHOWROOM, VENVS

Environment = Literal["dev", "flink", "airflow", "ml"]

LOCKS: dict[Environment, Path] = {
    "dev": ROOT / "requirements" / "dev.txt",
    "flink": ROOT / "requirements" / "flink.txt",
    "airflow": ROOT / "requirements.txt",
    "ml": ROOT / "requirements" / "ml.txt",
}
UV = VENVS / "bootstrap" / "bin" / "uv"


def python_of(name: Environment) -> Path:
    """The interpreter of an environment, whether it is built or not."""
    return VENVS / name / "bin" / "python"


def ensure_environment(name: Environment, say: Callable[[str], None] = lambda _: None) -> Path:
    """Build an environment unless it fits its lock; returns its interpreter. `say` gets progress lines."""
    python, stamp, wanted = python_of(name), VENVS / name / "stamp", _fingerprint(name)
    if _fits(python, stamp, wanted):
        return python
    VENVS.mkdir(parents=True, exist_ok=True)
    with (VENVS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _fits(python, stamp, wanted):
            return python
        say(f"installing environment {name} from {LOCKS[name].relative_to(ROOT)}")
        stamp.unlink(missing_ok=True)
        if not os.access(python, os.X_OK):
            _uv("venv", "--quiet", "--clear", "--python", str(_base_python()), str(VENVS / name))
        _uv("pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(LOCKS[name]))
        write_text(stamp, wanted)
        return python


def _fingerprint(name: Environment) -> str:
    # The folder counts: scripts of an environment hold its absolute path.
    return hashlib.sha256(LOCKS[name].read_bytes() + str(VENVS).encode()).hexdigest()


def _fits(python: Path, stamp: Path, wanted: str) -> bool:
    return os.access(python, os.X_OK) and stamp.exists() and stamp.read_text().strip() == wanted


def _base_python() -> Path:
    return (VENVS / "bootstrap" / "bin" / "python").resolve()


def _uv(*arguments: str) -> None:
    scratch = SHOWROOM / "tmp"
    scratch.mkdir(exist_ok=True)
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "TMPDIR": str(scratch)}
    environment.pop("VIRTUAL_ENV", None)
    done = subprocess.run([str(UV), *arguments], stderr=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())[-400:]
        raise PrerequisiteError(f"uv {arguments[0]} failed ({reason})", "check that the package index can be reached")
