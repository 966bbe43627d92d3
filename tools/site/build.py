"""Build the documentation site with mkdocs, strictly."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from include.contracts.errors import TerminalError
from local.install.java import run_maven
from local.layout import write_text
from local.project import ROOT, SHOWROOM

SITE = SHOWROOM / "site"
ASSETS = SHOWROOM / "site-assets"
MERMAID = ASSETS / "mermaid.min.js"
POM = Path(__file__).with_name("pom.xml")

_LOADED = re.compile(
    r"""<(?:script|img|iframe|link(?=[^>]*\brel=["']?(?:stylesheet|icon|preload|preconnect)))[^>]*?\s"""
    r"""(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|(?:@import\s+(?:url\()?|url\()["']?((?:https?:)?//[^"')\s]+)""",
)


def build_site(root: Path = ROOT, into: Path = SITE) -> str:
    """Build the site; return the problems, one per line; empty if it is complete.

    Args:
        root: The folder with mkdocs.yml.
        into: The folder of the site; its contents are replaced.
    """
    ensure_mermaid()
    command = [sys.executable, "-P", "-m", "mkdocs", "build", "--strict"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1", "NO_COLOR": "1"}
    done = subprocess.run(
        [*command, "--config-file", str(root / "mkdocs.yml"), "--site-dir", str(into)],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line and not line.startswith("INFO")]
        return "\n".join(lines) or f"mkdocs ended with {done.returncode}"
    return "\n".join(f"{page} loads {address} from another host" for page, address in foreign_resources(into))


def foreign_resources(site: Path) -> Iterator[tuple[Path, str]]:
    """Yield page and URL of each script, style, font and picture that a browser would load from another host."""
    for path in sorted(path for path in site.rglob("*") if path.suffix in {".html", ".css"}):
        for addresses in _LOADED.findall(path.read_text(encoding="utf-8")):
            yield path.relative_to(site), next(filter(None, addresses))


def ensure_mermaid() -> None:
    """Fetch the script that draws the diagrams, with Maven, unless the one of this pom.xml exists."""
    stamp, expected = ASSETS / "stamp", hashlib.sha256(POM.read_bytes()).hexdigest()
    SHOWROOM.mkdir(exist_ok=True)
    with (SHOWROOM / "site-assets.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == expected and MERMAID.exists():
            return
        shutil.rmtree(ASSETS, ignore_errors=True)
        run_maven(POM, ASSETS, lock.fileno())
        script = next(ASSETS.glob("META-INF/**/mermaid.min.js"), None)
        if script is None:
            raise TerminalError(f"Maven fetched no mermaid.min.js into {ASSETS}", f"see {POM.relative_to(ROOT)}")
        script.replace(MERMAID)
        shutil.rmtree(ASSETS / "META-INF")
        shutil.rmtree(ASSETS / "build", ignore_errors=True)
        write_text(stamp, expected)
