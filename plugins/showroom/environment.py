"""Settings of this process, and where the stream's files and state lie."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from include.contracts.errors import SettingsError
from include.contracts.settings import PREFIX, Settings
from include.contracts.stream import JOB_FILE

if TYPE_CHECKING:
    from include.supervise.stream_job import JobProgram


def settings() -> Settings:
    """Settings out of the environment; SettingsError names every wrong one."""
    return Settings.from_env(os.environ)


def job_program(current: Settings) -> "JobProgram":
    """The stream job's files; SettingsError where the settings do not name them."""
    from include.supervise.stream_job import JobProgram  # noqa: PLC0415

    _require(current, "flink_jar", "flink_project")
    root = current.flink_project
    return JobProgram(jar=Path(current.flink_jar), root=root, script=f"{root}/{JOB_FILE}")


def state_folder(current: Settings) -> Path:
    """Where checkpoints and savepoints lie; SettingsError where the settings do not name it."""
    _require(current, "flink_state")
    return Path(current.flink_state)


def batch_python(current: Settings) -> Path:
    """The interpreter of the nightly batch; SettingsError where the settings do not name it."""
    _require(current, "batch_python")
    return Path(current.batch_python)


def batch_folder(current: Settings) -> Path:
    """Where the nightly runs' files lie; SettingsError where the settings do not name it."""
    _require(current, "batch_folder")
    return Path(current.batch_folder)


def _require(current: Settings, *names: str) -> None:
    missing = [f"{PREFIX}{name.upper()}" for name in names if not getattr(current, name)]
    if missing:
        raise SettingsError(f"{' and '.join(missing)} not set", "./showroom up sets them; see docs/contracts.md")
