"""Airflow, its database and its archive in docker-compose.yaml, against the local stack's Airflow."""

import json
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from pymongo.uri_parser import parse_uri

from include.contracts.ports import Ports
from include.contracts.settings import Settings
from include.contracts.stream import JOB_FILE
from local.install.environments import python_of
from local.servers import airflow
from tests.compose.compose_file import AIRFLOW, DOCKER, SECRETS, SERVICES, environment_of, health, settings_of
from tools.generated_docs import PROJECT

OPTION = "AIRFLOW__"
LOCK_NAME = re.compile(r"^([a-z0-9.\-]+)==", re.MULTILINE)


def test_its_parts_are_those_of_the_local_stack() -> None:
    for name, _, arguments, part in airflow.COMPONENTS:
        assert tuple(SERVICES[name]["command"]) == arguments
        assert SERVICES[name]["healthcheck"]["test"][-1] == part
        assert environment_of(name) == environment_of("airflow-api")
        assert SERVICES[name]["volumes"] == SERVICES["airflow-api"]["volumes"]
        assert SERVICES[name]["image"] == SERVICES["airflow-init"]["image"]


def test_airflow_components_are_connected_and_pages_are_published() -> None:
    here = environment_of("airflow-scheduler")
    port = here["AIRFLOW__API__PORT"]
    assert here["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == f"http://airflow-api:{port}/execution/"
    assert f"http://airflow-api:{port}" == health().AIRFLOW
    assert SERVICES["airflow-api"]["ports"] == [f"127.0.0.1:{Ports().airflow}:{port}"]
    assert here["AIRFLOW__API__BASE_URL"] == settings_of("airflow-scheduler").airflow.url == Settings().airflow.url


def test_airflow_database_is_postgres_and_not_published() -> None:
    server = environment_of("postgres")
    result = urlsplit(environment_of("airflow-api")["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    assert (result.hostname, result.port, result.path) == ("postgres", 5432, f"/{server['POSTGRES_DB']}")
    assert (result.username, result.password) == (server["POSTGRES_USER"], SECRETS["POSTGRES_PASSWORD"])
    assert "ports" not in SERVICES["postgres"]


def test_airflow_image_has_the_database_drivers() -> None:
    drivers = (PROJECT / "requirements" / "containers.txt").read_text()
    scheme = urlsplit(environment_of("airflow-api")["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]).scheme
    # Airflow derives its asynchronous address from the first one, always with asyncpg.
    assert scheme == "postgresql+psycopg2"
    assert set(LOCK_NAME.findall(drivers)) == {"psycopg2-binary", "asyncpg"}
    assert not set(LOCK_NAME.findall(drivers)) & set(LOCK_NAME.findall((PROJECT / "requirements.txt").read_text()))


def test_hook_and_clients_log_in_to_the_same_archive() -> None:
    server = environment_of("mongo")
    login = (server["MONGO_INITDB_ROOT_USERNAME"], server["MONGO_INITDB_ROOT_PASSWORD"])
    for given in ({}, {"SHOWROOM_MONGODB_DATABASE": "other"}):
        settings = settings_of("airflow-api", given)
        client = parse_uri(settings.mongodb.url.reveal())
        assert (client["username"], client["password"]) == login
        assert client["nodelist"] == [("mongo", 27017)]
        hook = urlsplit(environment_of("airflow-api", given)["AIRFLOW_CONN_MONGO_DEFAULT"])
        assert hook.scheme == "mongo"
        assert (hook.username, hook.password, hook.hostname, hook.port) == (*login, "mongo", 27017)
        assert hook.path == f"/{settings.mongodb.database}"
        # Otherwise MongoDB would look for the user in the database of the path.
        assert parse_qs(hook.query) == {"authSource": ["admin"]}


def test_airflow_submits_the_program_of_the_flink_image() -> None:
    settings = settings_of("airflow-scheduler")
    jar = Path(settings.flink.jar)
    assert f"COPY --from=jar /build/{jar.name} {jar.parent}/\n" in (DOCKER / "airflow.Dockerfile").read_text()
    # The request guard must be on Flink's own class path.
    assert f"COPY --from=jar /build/{jar.name} /opt/flink/lib/\n" in (DOCKER / "flink.Dockerfile").read_text()
    folder = Path(JOB_FILE).parts[0]
    assert f"COPY {folder} {settings.flink.project_dir}/{folder}\n" in (DOCKER / "flink.Dockerfile").read_text()
    assert (PROJECT / JOB_FILE).is_file()
    assert f"flink:{settings.flink.state_dir}:ro" in SERVICES["airflow-scheduler"]["volumes"]


def test_airflow_image_has_dags_and_plugins_in_the_configured_folders() -> None:
    here = environment_of("airflow-dag-processor")
    dockerfile = (DOCKER / "airflow.Dockerfile").read_text()
    for name in ("dags", "plugins"):
        folder = here[f"AIRFLOW__CORE__{name.upper()}_FOLDER"]
        assert f"COPY {name} {folder}\n" in dockerfile
        # The build context contains only these paths.
        assert f"!{name}\n" in (PROJECT / ".dockerignore").read_text()
    assert f"PYTHONPATH=/opt/showroom:{here['AIRFLOW__CORE__PLUGINS_FOLDER']} " in dockerfile


def test_airflow_passwords_and_logs_are_in_the_shared_volume() -> None:
    here = environment_of("airflow-api")
    for name in ("airflow-init", *AIRFLOW):
        (folder,) = (text.split(":")[1] for text in SERVICES[name]["volumes"] if text.startswith("airflow:"))
        assert here[f"{OPTION}CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"].startswith(f"{folder}/")
        assert here[f"{OPTION}LOGGING__BASE_LOG_FOLDER"].startswith(f"{folder}/")


def init(folder: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run `airflow-init` with its environment except paths, on SQLite."""
    environment = environment_of("airflow-init") | {
        "AIRFLOW__API_AUTH__JWT_SECRET": "j" * 64,
        "AIRFLOW__CORE__FERNET_KEY": "",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / "passwords.json"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder / 'airflow.db'}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "logs"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(folder / "logs"),
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW_CONFIG": str(PROJECT / "config" / "airflow" / "airflow.cfg"),
        "PATH": f"{python_of('airflow').parent}:/usr/bin:/bin",
        "PYTHONPATH": f"{PROJECT}:{PROJECT / 'plugins'}",
        **changes,
    }
    bash = shutil.which("bash")
    assert bash
    command = [bash, str(DOCKER / "airflow" / "start.sh"), *SERVICES["airflow-init"]["command"]]
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=180, check=False
    )


def test_init_creates_login_database_and_pools_idempotently(tmp_path: Path) -> None:
    for password in ("first-password", "second-password"):
        done = init(tmp_path, AIRFLOW_PASSWORD=password, AIRFLOW_VIEWER_PASSWORD=f"viewers-{password}")
        assert done.returncode == 0, done.stderr
        passwords = tmp_path / "passwords.json"
        assert json.loads(passwords.read_text()) == {"admin": password, "viewer": f"viewers-{password}"}
        assert passwords.stat().st_mode & 0o777 == 0o600
        assert password not in done.stdout + done.stderr
        with sqlite3.connect(tmp_path / "airflow.db") as database:
            pools = dict(database.execute("select pool, slots from slot_pool where pool != 'default_pool'"))
        expected = json.loads(airflow.POOLS.read_text())
        assert pools == {name: pool["slots"] for name, pool in expected.items()}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AIRFLOW_PASSWORD", "short"),
        ("AIRFLOW_VIEWER_PASSWORD", "viewer"),
        ("AIRFLOW__API_AUTH__JWT_SECRET", "j" * 63),
        ("AIRFLOW__API__SECRET_KEY", "s" * 31),
        ("MLFLOW_TRACKING_PASSWORD", "m" * 11),
    ],
)
def test_init_with_short_secrets_fails(tmp_path: Path, name: str, value: str) -> None:
    done = init(tmp_path, **{name: value})
    assert done.returncode == 1
    assert done.stderr.startswith(f"airflow-init: {name} has fewer than")
    assert value not in done.stderr
    assert not list(tmp_path.iterdir())


def test_init_ends_with_the_command_that_failed(tmp_path: Path) -> None:
    done = init(tmp_path, AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{tmp_path / 'away' / 'airflow.db'}")
    assert done.returncode == 1
    assert "airflow-init: airflow db migrate ended with 1" in done.stderr
