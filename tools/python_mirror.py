"""Package a Python installation so that `uv python install` can install it without a network."""

import hashlib
import io
import json
import os
import platform
import sys
import tarfile
from pathlib import Path

METADATA = "downloads.json"
SKIPPED = ("__pycache__", "site-packages", "test")


def build_mirror(prefix: Path, folder: Path, visible_at: Path) -> dict[str, str]:
    """Write an archive of a Python installation, in the layout of python-build-standalone, and uv's metadata for it.

    Args:
        prefix: Installation of the Python version that runs this function, outside /usr.
        folder: Existing folder for the two files.
        visible_at: Path of `folder` on the machine where uv runs.

    Returns:
        The environment variables that make uv install this archive.
    """
    major, minor, patch = sys.version_info[:3]
    name = f"cpython-{major}.{minor}.{patch}-linux-{platform.machine()}-gnu"
    archive = folder / f"{name}-install_only.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for path in sorted(prefix.rglob("*")):
            inside = path.relative_to(prefix)
            if not any(part in SKIPPED for part in inside.parts):
                _add(tar, path, str(Path("python") / inside), prefix)
    entry = {
        **{"name": "cpython", "os": "linux", "libc": "gnu", "prerelease": "", "variant": None},
        **{"arch": {"family": platform.machine(), "variant": None}, "major": major, "minor": minor, "patch": patch},
        "url": (visible_at / archive.name).as_uri(),
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
    }
    (folder / METADATA).write_text(json.dumps({name: entry}))
    # Not UV_PYTHON_INSTALL_MIRROR: uv still expects the checksums of its own archives there.
    return {"UV_PYTHON_DOWNLOADS_JSON_URL": str(visible_at / METADATA)}


def _add(tar: tarfile.TarFile, path: Path, name: str, prefix: Path) -> None:
    info = tar.gettarinfo(path, name)
    if not info.isreg():
        tar.addfile(info)
        return
    data = path.read_bytes()
    if data.startswith(b"\x7fELF"):
        data = _relocate(data, prefix)
    info.type, info.size = tarfile.REGTYPE, len(data)
    tar.addfile(info, io.BytesIO(data))


def _relocate(data: bytes, prefix: Path) -> bytes:
    """Replace the absolute search path of libpython in an ELF file by a relative one of the same length."""
    old = os.fsencode(prefix / "lib") + b"\0"
    return data.replace(b"\0" + old, b"\0" + b"$ORIGIN/../lib".ljust(len(old), b"\0"))
