"""Hashed locks of all environments, compiled by uv from their requirements."""

import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from include.contracts.errors import TerminalError
from local.install.environments import UV
from local.project import ROOT

REQUIREMENTS = ROOT / "requirements"
PYTHON_VERSION = "3.11"


class Lock(NamedTuple):
    """One lock and its sources; file names are relative to `requirements/`."""

    source: str
    target: str
    overrides: str | None = None
    python: str = PYTHON_VERSION


LOCKS: tuple[Lock, ...] = (
    Lock("bootstrap.in", "bootstrap.txt"),
    Lock("live.in", "live.txt"),
    # After live: dev takes its versions.
    Lock("dev.in", "dev.txt"),
    Lock("flink.in", "flink.txt"),
    Lock("ml.in", "ml.txt", "ml.overrides"),
    Lock("airflow.in", "../requirements.txt"),
    Lock("containers.in", "containers.txt"),
    Lock("dashboards.in", "dashboards.txt", python="3.12"),
)


def stale() -> list[str]:
    """Return the locks that a new compilation would change; nothing is written."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(max_workers=len(LOCKS)) as pool:
        texts = pool.map(lambda lock: _compile(lock, Path(folder)), LOCKS)
        return [lock.target for lock, text in zip(LOCKS, texts, strict=True) if text != _read(lock)]


def compile_all() -> list[str]:
    """Compile all locks and retain existing versions if they are compatible; return the changed locks."""
    changed = []
    with tempfile.TemporaryDirectory() as folder:
        for lock in LOCKS:
            text = _compile(lock, Path(folder))
            if text != _read(lock):
                (REQUIREMENTS / lock.target).write_text(text)
                changed.append(lock.target)
    return changed


def _read(lock: Lock) -> str:
    path = REQUIREMENTS / lock.target
    return path.read_text() if path.exists() else ""


def _compile(lock: Lock, folder: Path) -> str:
    """Return the lock's text. uv reads existing versions from its output file, so it gets a copy."""
    output = folder / Path(lock.target).name
    present = REQUIREMENTS / lock.target
    if present.exists():
        shutil.copyfile(present, output)
    command = [
        *(str(UV), "pip", "compile", "--quiet", "--generate-hashes", "--python-version", lock.python),
        # A lock must not contain the address of an index or of a folder of wheels.
        *("--no-emit-index-url", "--no-emit-find-links", "--custom-compile-command", "./showroom check --fix"),
        *(("--overrides", lock.overrides) if lock.overrides else ()),
        *(lock.source, "--output-file", str(output)),
    ]
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run(command, cwd=REQUIREMENTS, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TerminalError(f"{lock.source} cannot be compiled ({' '.join(done.stderr.split())})", "see requirements/")
    return output.read_text()
