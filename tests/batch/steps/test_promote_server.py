"""The step promote against a real MLflow server, running and stopped."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from include.batch.registry import load, versions
from include.batch.steps import promote
from include.clients import mlflow
from include.contracts.errors import TerminalError, TransientError
from include.contracts.settings import MlflowSettings, Settings
from tests.batch.steps import run_folder
from tests.batch.steps.conftest import Records

DEADLINE_S = 90


@pytest.fixture(scope="module")
def server(empty_store: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = empty_store.parent / "server"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(empty_store.read_bytes())
    url = f"http://127.0.0.1:{port}"
    command = [
        *(sys.executable, "-P", "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        *("--artifacts-destination", str(folder / "artifacts"), "--serve-artifacts"),
    ]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        wait(url, running, folder / "log")
        yield url
    finally:
        os.killpg(running.pid, 15)
        running.wait(30)


def wait(url: str, running: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        assert running.poll() is None, log.read_text()[-2000:]
        try:
            if requests.get(f"{url}/health", timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise AssertionError(log.read_text()[-2000:])


def test_promote_on_a_server(server: str, tmp_path: Path, decisions: Records) -> None:
    settings = Settings(mlflow=MlflowSettings(url=server))
    inputs = run_folder.write(run_folder.inputs(tmp_path / "1", settings))
    promote.run(inputs, run_folder.PARAMETERS)
    assert load.champion(settings.mlflow, versions.MODEL) is not None
    assert load.champion(settings.mlflow, versions.PRIVATE_MODEL) is not None
    assert [record["decision"] for record in decisions.values()] == ["promoted", "promoted"]

    result = load.version(mlflow.connect(settings.mlflow.url), versions.MODEL, load.CHAMPION)
    assert result is not None
    lost = requests.delete(f"{server}/api/2.0/mlflow-artifacts/artifacts/1/{result.run_id}/artifacts/model", timeout=30)
    assert lost.ok
    with pytest.raises(TerminalError, match="purchase version 1"):
        load.champion(settings.mlflow, versions.MODEL)


def test_promote_without_a_server_raises_within_seconds(
    tmp_path: Path, decisions: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        settings = Settings(mlflow=MlflowSettings(url=f"http://127.0.0.1:{probe.getsockname()[1]}"))
    for name in mlflow.LIMITS:
        monkeypatch.delenv(name, raising=False)
    inputs = run_folder.write(run_folder.inputs(tmp_path / "1", settings))
    began = time.monotonic()
    with pytest.raises(TransientError, match="MLflow is unavailable"):
        promote.run(inputs, run_folder.PARAMETERS)
    with pytest.raises(TransientError, match="MLflow is unavailable"):
        load.champion(settings.mlflow, versions.MODEL)
    assert time.monotonic() - began < 30
    assert not decisions
