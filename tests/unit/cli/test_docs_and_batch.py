"""`./showroom docs` and `./showroom batch`: thin commands around the site and the steps."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import batch
from cli.app import build, project_version
from include.contracts.errors import TerminalError
from tools.site import build as site


def test_docs_prints_the_address_of_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "build_site", lambda: "")
    result = CliRunner().invoke(build(), ["docs"])
    assert result.exit_code == 0
    assert result.output == f"file://{site.SITE}/index.html\n"


def test_docs_with_a_dead_link_fails_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "build_site", lambda: "WARNING - dead link")
    result = CliRunner().invoke(build(), ["docs"])
    assert isinstance(result.exception, TerminalError)
    assert "dead link" in str(result.exception)


def test_batch_runs_the_step_in_the_environment_of_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[list[str], dict[str, str]]] = []

    def run(command: list[str], *, env: dict[str, str], check: bool) -> subprocess.CompletedProcess[str]:
        calls.append((command, env))
        return subprocess.CompletedProcess(command, 75)

    def environment(name: str, *_: Any) -> Path:
        return Path(f"/{name}/python")

    monkeypatch.setattr(batch, "ensure_environment", environment)
    monkeypatch.setattr(subprocess, "run", run)
    result = CliRunner().invoke(build(), ["batch", "train", "--window", "a/b", "--out", "/tmp/x"])

    ((command, environ),) = calls
    assert result.exit_code == 75
    assert command[3:] == ["/ml/python", "-P", "-m", "include.batch", "train", "--window", "a/b", "--out", "/tmp/x"]
    assert {"MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"} <= environ.keys()


def test_version_option_prints_the_version_of_pyproject() -> None:
    result = CliRunner().invoke(build(), ["--version"])
    assert (result.exit_code, result.output) == (0, f"showroom {project_version()}\n")
