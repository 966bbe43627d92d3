"""MLflow's process and keys, without a server."""

from pathlib import Path

import pytest

from include.contracts.setting import Secret
from include.contracts.settings import BatchSettings, Settings
from local.layout import Layout
from local.servers import airflow, flink, gate, mlflow

OWN = Secret("a noise key of the settings, long enough for all")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.below(tmp_path)


def test_keys_are_created_once_and_private(layout: Layout) -> None:
    mlflow.ensure_keys(Settings().batch, layout)
    keys, noise = mlflow.read_keys(layout), mlflow.noise_key(Settings().batch, layout)
    mlflow.ensure_keys(Settings().batch, layout)

    assert (mlflow.read_keys(layout), mlflow.noise_key(Settings().batch, layout)) == (keys, noise)
    assert keys is not None
    assert len(keys.password) >= 12
    assert len(noise.reveal()) == 2 * mlflow.KEY_BYTES
    modes = {path.name: path.stat().st_mode & 0o777 for path in layout.conf.iterdir()}
    assert modes == {mlflow.KEYS_FILE: 0o600, mlflow.NOISE_FILE: 0o600}


def test_noise_key_of_settings_precedes_the_generated_one(layout: Layout) -> None:
    given = Settings(batch=BatchSettings(noise_key=OWN))
    mlflow.ensure_keys(given.batch, layout)
    assert not (layout.conf / mlflow.NOISE_FILE).exists()

    mlflow.ensure_keys(Settings().batch, layout)
    assert mlflow.noise_key(given.batch, layout) == OWN
    assert mlflow.noise_key(Settings().batch, layout).reveal() != OWN.reveal()


def test_noise_key_and_mlflow_login_are_passed_to_airflow_only(layout: Layout) -> None:
    settings = Settings(batch=BatchSettings(noise_key=OWN))
    mlflow.ensure_keys(settings.batch, layout)
    tasks = airflow.environment_of(settings, layout)
    assert tasks["SHOWROOM_BATCH_NOISE_KEY"] == OWN.reveal()
    assert tasks["SHOWROOM_GATE_PSEUDONYM_KEY"] == ""
    keys = mlflow.read_keys(layout)
    assert keys is not None
    assert tasks["MLFLOW_TRACKING_PASSWORD"] == keys.password
    assert tasks["MLFLOW_TRACKING_URI"] == settings.mlflow.url
    others = [*gate.programs(settings, layout), *flink.programs(settings, layout), mlflow.program(settings, layout)]
    for program in others:
        assert program.environment.get("SHOWROOM_BATCH_NOISE_KEY", "") == "", program.name
        assert "MLFLOW_TRACKING_PASSWORD" not in program.environment


def test_secrets_are_in_no_command_and_no_readable_file(layout: Layout) -> None:
    mlflow.ensure_keys(Settings().batch, layout)
    keys = mlflow.read_keys(layout)
    assert keys is not None
    program = mlflow.program(Settings(), layout)
    seen = " ".join([*program.command, *program.files().values()])
    assert keys.password not in seen
    assert keys.session not in seen
