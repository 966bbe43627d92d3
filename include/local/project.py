"""Where things lie in the project folder."""

import os
from pathlib import Path

from include.contracts.errors import SettingsError
from include.contracts.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SHOWROOM = ROOT / ".showroom"
VENVS = SHOWROOM / "venvs"
JAVA = SHOWROOM / "java"

LONGEST_STATE_DIR = 80
"""Characters. Unix sockets below it have at most 107, and supervisord binds `run/supervisor.sock.<pid>`."""


def load_settings() -> Settings:
    """Settings of this process; SettingsError names every wrong one."""
    return Settings.from_env(os.environ)


def state_dir(settings: Settings) -> Path:
    """The absolute state folder of a stack; SettingsError where its path cannot be one."""
    path = (ROOT / settings.state_dir).resolve()
    if ROOT.is_relative_to(path):
        raise SettingsError(f"SHOWROOM_STATE_DIR holds the project itself: {path}", "name a folder of its own")
    if len(str(path)) > LONGEST_STATE_DIR:
        raise SettingsError(
            f"the state folder's path is longer than the {LONGEST_STATE_DIR} characters that fit a socket: {path}",
            "set SHOWROOM_STATE_DIR to a shorter path",
        )
    return path
