"""Where things lie in the project folder."""

import os
import re
from pathlib import Path

from include.contracts.errors import SettingsError
from include.contracts.settings import Settings

# Not resolved: in a folder with spaces or other letters than ASCII, ./showroom reaches the project through a link.
ROOT = Path(__file__).absolute().parents[1]
SHOWROOM = ROOT / ".showroom"
VENVS = SHOWROOM / "venvs"
JAVA = SHOWROOM / "java"

PLAIN = re.compile(r"[A-Za-z0-9/._+-]+")
"""Paths that scripts of Flink do not split and Java reads alike in every locale; `showroom` has the same rule."""
LOCALE = "C.UTF-8"
"""Locale of all servers: Java decodes file names by it, and the locale C has ASCII only."""
LONGEST_STATE_DIR = 80
"""Characters. Unix sockets below it have at most 107, and supervisord binds `run/supervisor.sock.<pid>`."""


def load_settings() -> Settings:
    """Settings of this process; SettingsError names every wrong one."""
    return Settings.from_env(os.environ)


def state_dir(settings: Settings) -> Path:
    """The absolute state folder of a stack; SettingsError where its path cannot be one."""
    path, real = (ROOT / settings.local.state_dir).resolve(), ROOT.resolve()
    if path.is_relative_to(real):
        path = ROOT / path.relative_to(real)
    if real.is_relative_to(path.resolve()):
        raise SettingsError(f"SHOWROOM_LOCAL_STATE_DIR holds the project itself: {path}", "name a folder of its own")
    if not PLAIN.fullmatch(str(path)):
        raise SettingsError(
            f"SHOWROOM_LOCAL_STATE_DIR holds characters that the servers cannot take: {path}",
            "use letters of ASCII, digits, and ./_+- only",
        )
    if len(str(path)) > LONGEST_STATE_DIR:
        raise SettingsError(
            f"the state folder's path is longer than the {LONGEST_STATE_DIR} characters that fit a socket: {path}",
            "set SHOWROOM_LOCAL_STATE_DIR to a shorter path",
        )
    return path
