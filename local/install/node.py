"""Packages of Node.js programs, installed by npm from a package-lock.json: once for each content of the lock."""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

from include.contracts.errors import PrerequisiteError
from local.layout import write_text
from local.project import SHOWROOM

NODE = SHOWROOM / "node"
FILES = ("package.json", "package-lock.json")
APT = "apt-get install -y --no-install-recommends nodejs npm"


def ensure_node_packages(source: Path) -> Path:
    """Install the packages of a folder unless they are installed; return the folder with its node_modules.

    Args:
        source: A folder with package.json and package-lock.json.

    Raises:
        PrerequisiteError: Node.js or npm is missing, or the installation failed.
    """
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise PrerequisiteError("node or npm is not installed", f"run: {APT}")
    folder = NODE / source.name
    expected = hashlib.sha256(b"".join((source / name).read_bytes() for name in FILES)).hexdigest()
    stamp = folder / "stamp"
    folder.mkdir(parents=True, exist_ok=True)
    with (NODE / f"{source.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == expected:
            return folder
        for name in FILES:
            shutil.copy(source / name, folder)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = " ".join(done.stderr.split())[-400:]
            raise PrerequisiteError(f"npm ci failed ({reason})", "check that the npm registry can be reached")
        write_text(stamp, expected)
    return folder
