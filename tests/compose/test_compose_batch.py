"""MLflow and the nightly batch's place in docker-compose.yaml, against the local stack's."""

import configparser
import http.server
import os
import subprocess
import sys
import threading
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from include.contracts.settings import Settings
from local.layout import Layout
from local.servers import mlflow
from tests.compose.compose_file import AIRFLOW, DOCKER, SECRETS, SERVICES, environment_of, settings_of
from tools.generated_docs import PROJECT

HEALTH = DOCKER / "mlflow" / "health.py"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout.below(tmp_path)
    mlflow.ensure_keys(Settings(), layout)
    return layout


def options(words: list[str]) -> dict[str, str]:
    """Option -> value, written with `=` or as two words."""
    results: dict[str, str] = {}
    for word in " ".join(words).replace("=", " ").split("--")[1:]:
        name, _, value = word.strip().partition(" ")
        results[name] = value
    return results


def test_mlflow_is_set_up_as_in_the_local_stack(layout: Layout) -> None:
    program = mlflow.program(Settings(), layout)
    local = options(list(program.command[program.command.index("server") + 1 :]))
    here = options(SERVICES["mlflow"]["command"])
    assert set(here) == set(local)
    locations = {"host", "port", "allowed-hosts", "backend-store-uri", "artifacts-destination"}
    assert {name: value for name, value in here.items() if name not in locations} == {
        name: value for name, value in local.items() if name not in locations
    }
    assert local["host"] == "127.0.0.1"
    own = {"PYTHONUNBUFFERED"}
    assert set(environment_of("mlflow")) == set(program.environment) - own


def test_its_file_on_users_is_the_local_stacks_and_all_it_keeps_lies_in_its_volume(layout: Layout) -> None:
    def read(text: str) -> dict[str, str]:
        parser = configparser.ConfigParser()
        parser.read_string(text)
        return dict(parser["mlflow"])

    (text,) = mlflow.program(Settings(), layout).files().values()
    local, here = read(text), read((DOCKER / "mlflow" / "users.ini").read_text())
    assert {**local, "database_uri": ""} == {**here, "database_uri": ""}
    assert "password" not in text
    (mount,) = SERVICES["mlflow"]["volumes"]
    folder = mount.split(":")[1]
    command = options(SERVICES["mlflow"]["command"])
    for location in (here["database_uri"], command["backend-store-uri"]):
        assert location.startswith(f"sqlite:///{folder}/")
    assert command["artifacts-destination"].startswith(f"{folder}/")


def test_steps_and_browsers_may_reach_it_and_log_in() -> None:
    here = environment_of("airflow-scheduler")
    allowed = options(SERVICES["mlflow"]["command"])["allowed-hosts"].split(",")
    reached = urlsplit(here["MLFLOW_TRACKING_URI"])
    assert (reached.hostname, reached.netloc in allowed) == ("mlflow", True)
    assert urlsplit(settings_of("airflow-scheduler").mlflow.url).netloc in allowed
    assert settings_of("airflow-scheduler").mlflow.url == Settings().mlflow.url
    server = environment_of("mlflow")
    assert here["MLFLOW_TRACKING_USERNAME"] == server["MLFLOW_AUTH_ADMIN_USERNAME"] == mlflow.USER
    assert here["MLFLOW_TRACKING_PASSWORD"] == server["MLFLOW_AUTH_ADMIN_PASSWORD"] == SECRETS["MLFLOW_PASSWORD"]


def test_airflow_finds_the_batchs_environment_and_a_folder_for_its_runs() -> None:
    current = settings_of("airflow-scheduler")
    dockerfile = (DOCKER / "airflow.Dockerfile").read_text()
    venv = current.batch.python.removesuffix("/bin/python")
    assert f"COPY --from=batch {venv} {venv}\n" in dockerfile
    assert "COPY requirements/ml.txt" in dockerfile
    assert "COPY requirements/ml.txt" in (DOCKER / "mlflow.Dockerfile").read_text()
    for name in AIRFLOW:
        assert f"batch:{current.batch.runs_dir}" in SERVICES[name]["volumes"]
    assert current.batch.runs_dir in dockerfile


@pytest.mark.parametrize("given", [{}, {"SHOWROOM_BATCH_WINDOW_DAYS": "30"}])
def test_the_window_of_a_night_is_the_callers(given: dict[str, str]) -> None:
    assert settings_of("airflow-scheduler", given).batch.window_days == int(
        given.get("SHOWROOM_BATCH_WINDOW_DAYS", "14")
    )


class _Mlflow(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        scheme, _, login = self.headers.get("Authorization", "").partition(" ")
        existing = (scheme, b64decode(login)) == ("Basic", b"admin:right") and "experiments" in self.path
        self.send_response(200 if existing else 401)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), _Mlflow) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


@pytest.mark.parametrize(("password", "code"), [("right", 0), ("wrong", 1)])
def test_its_health_check_logs_in(server: str, password: str, code: int) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
    }
    program = HEALTH.read_text().replace("http://127.0.0.1:5000", server)
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert f":{options(SERVICES['mlflow']['command'])['port']}" in HEALTH.read_text()
    assert str(HEALTH.relative_to(PROJECT)) in SERVICES["mlflow"]["healthcheck"]["test"][-1]
