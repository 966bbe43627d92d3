"""Paths in the project folder, and the state folder of a stack."""

import os
import re
from pathlib import Path

from include.contracts.errors import SettingsError
from include.contracts.settings import LocalSettings, Settings

# Not resolved, because ./showroom uses a link to a project folder whose path has spaces or non-ASCII characters.
ROOT = Path(__file__).absolute().parents[1]
SHOWROOM = ROOT / ".showroom"
VENVS = SHOWROOM / "venvs"
JAVA = SHOWROOM / "java"

SAFE_PATH = re.compile(r"[A-Za-z0-9/._+-]+")
"""Paths that Flink's scripts do not split and that Java decodes in every locale; `showroom` has the same rule."""
LOCALE = "C.UTF-8"
"""Locale of all servers, because Java decodes file names by it and the locale C is ASCII."""
MAX_STATE_DIR_CHARACTERS = 80
"""Because a Unix socket path has at most 107 characters, and supervisord binds `run/supervisor.sock.<pid>`."""


def load_settings() -> Settings:
    """Return the settings of this process.

    Raises:
        SettingsError: Names every invalid setting.
    """
    return Settings.from_env(os.environ)


def state_dir(settings: LocalSettings) -> Path:
    """Return the absolute state folder of a stack.

    Raises:
        SettingsError: The path contains the project, has unsupported characters, or is too long.
    """
    path, real = (ROOT / settings.state_dir).resolve(), ROOT.resolve()
    if path.is_relative_to(real):
        path = ROOT / path.relative_to(real)
    if real.is_relative_to(path.resolve()):
        raise SettingsError(f"SHOWROOM_LOCAL_STATE_DIR contains the project: {path}", "set it to a separate folder")
    if not SAFE_PATH.fullmatch(str(path)):
        raise SettingsError(
            f"SHOWROOM_LOCAL_STATE_DIR has characters that the servers do not support: {path}",
            "use only ASCII letters, digits, and ./_+-",
        )
    if len(str(path)) > MAX_STATE_DIR_CHARACTERS:
        raise SettingsError(
            f"the state folder's path exceeds the {MAX_STATE_DIR_CHARACTERS} characters that fit a socket: {path}",
            "set SHOWROOM_LOCAL_STATE_DIR to a shorter path",
        )
    return path
