"""Settings of this process, and the paths that they name."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from include.contracts.errors import SettingsError
from include.contracts.settings import PREFIX, Settings
from include.contracts.stream import JOB_FILE

if TYPE_CHECKING:
    from include.supervise.stream_job import JobProgram


def load_settings() -> Settings:
    """Read the settings from the environment. Raises SettingsError that names every invalid one."""
    return Settings.from_env(os.environ)


def job_program(settings: Settings) -> "JobProgram":
    """Return the stream job's files. Raises SettingsError if the settings do not name them."""
    from include.supervise.stream_job import JobProgram  # noqa: PLC0415

    _require(settings, "FLINK_JAR", "FLINK_PROJECT_DIR")
    root = settings.flink.project_dir
    return JobProgram(jar=Path(settings.flink.jar), root=root, script=f"{root}/{JOB_FILE}")


def state_folder(settings: Settings) -> Path:
    """Return the folder of checkpoints and savepoints. Raises SettingsError if the settings do not name it."""
    _require(settings, "FLINK_STATE_DIR")
    return Path(settings.flink.state_dir)


def batch_python(settings: Settings) -> Path:
    """Return the interpreter of the nightly batch. Raises SettingsError if the settings do not name it."""
    _require(settings, "BATCH_PYTHON")
    return Path(settings.batch.python)


def batch_runs_dir(settings: Settings) -> Path:
    """Return the folder of the nightly runs. Raises SettingsError if the settings do not name it."""
    _require(settings, "BATCH_RUNS_DIR")
    return Path(settings.batch.runs_dir)


def _require(settings: Settings, *names: str) -> None:
    """Raise SettingsError for the addresses and folders that are not set; names without the prefix."""
    environment = settings.to_env()
    missing = [f"{PREFIX}{name}" for name in names if not environment[f"{PREFIX}{name}"]]
    if missing:
        raise SettingsError(f"{' and '.join(missing)} not set", "./showroom up sets them; see docs/settings.md")
