"""Airflow: four processes on one SQLite file, with login; their configuration is in their environment."""

import fcntl
import hashlib
import os
import secrets
import subprocess
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import httpx
import msgspec

from include.contracts.errors import TerminalError
from include.contracts.health import AIRFLOW_PATH, check_airflow
from include.contracts.setting import Secret
from include.contracts.settings import LOOPBACK, LocalSettings, MongodbSettings, Settings
from local.config_files import render
from local.install.environments import LOCKS, python_of
from local.install.flink_jar import jar_path
from local.layout import Layout, write_text
from local.program import Program
from local.project import ROOT
from local.servers import mlflow
from local.servers.flink import data_dir

NAME = "airflow-"
USER = "admin"
VIEWER = "viewer"
"""The read-only login."""
KEYS_FILE = "airflow.keys"
PASSWORDS_FILE = "airflow.passwords"
CONFIG_FILE = "airflow.cfg"
POOLS = ROOT / "plugins" / "showroom" / "pools.json"
PROBE_TIMEOUT_S = 3.0
PREPARE_TIMEOUT_S = 120.0
MAX_REASON_CHARACTERS = 300

COMPONENTS: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    # No log servers, because they listen on every address and the API reads the same folder.
    ("airflow-api", "Airflow's API and pages", ("api-server",), "metadatabase"),
    ("airflow-scheduler", "Airflow's scheduler", ("scheduler", "--skip-serve-logs"), "scheduler"),
    ("airflow-dag-processor", "Airflow's DAG processor", ("dag-processor",), "dag_processor"),
    ("airflow-triggerer", "Airflow's triggerer", ("triggerer", "--skip-serve-logs"), "triggerer"),
)
"""Name, title, arguments of `airflow`, and the component in its health response."""


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Keys for signatures and encryption of one stack's Airflow, and the passwords of its users.

    `viewer` is empty in a file of an earlier version.
    """

    password: str
    viewer: str = ""
    jwt: str
    fernet: str
    session: str

    @classmethod
    def make(cls) -> "Keys":
        """Return new random keys."""
        return cls(
            password=secrets.token_urlsafe(12),
            viewer=secrets.token_urlsafe(12),
            jwt=secrets.token_hex(64),
            fernet=urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            session=secrets.token_hex(32),
        )


def programs(settings: Settings, layout: Layout) -> tuple[Program, ...]:
    """Define the four processes; all of them need the keys of `ensure_keys` before a start."""
    environment = environment_of(settings, layout)
    python = str(python_of("airflow"))
    return tuple(
        Program(
            name=name,
            title=title,
            command=(python, "-P", "-m", "airflow", *arguments),
            priority=700 + number,
            probe=lambda part=part: probe(settings.local, part),  # type: ignore[misc]
            address=settings.airflow.url if name == "airflow-api" else "",
            environment=environment,
            ports={"Airflow": settings.local.ports.airflow} if name == "airflow-api" else {},
            files=lambda: {layout.conf / CONFIG_FILE: render("airflow/airflow.cfg")},
            prepare=lambda: _prepare(environment, layout),
            stop_wait_s=30,
        )
        for number, (name, title, arguments, part) in enumerate(COMPONENTS)
    )


def home(layout: Layout) -> Path:
    """Return Airflow's folder, which contains the database."""
    return layout.data / "airflow"


def environment_of(settings: Settings, layout: Layout) -> dict[str, str]:
    """Return the environment of Airflow and its tasks besides config/airflow: settings, keys, connections, folders."""
    keys = read_keys(layout) or Keys(password="", jwt="", fernet="", session="")
    base = f"http://{LOOPBACK}:{settings.local.ports.airflow}"
    options = {
        "CORE__DAGS_FOLDER": ROOT / "dags",
        "CORE__PLUGINS_FOLDER": ROOT / "plugins",
        "CORE__FERNET_KEY": keys.fernet,
        "CORE__EXECUTION_API_SERVER_URL": f"{base}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": layout.conf / PASSWORDS_FILE,
        "API__HOST": LOOPBACK,
        "API__PORT": settings.local.ports.airflow,
        "API__BASE_URL": settings.airflow.url,
        "API__SECRET_KEY": keys.session,
        "API_AUTH__JWT_SECRET": keys.jwt,
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home(layout) / 'airflow.db'}",
        "LOGGING__BASE_LOG_FOLDER": layout.log / "airflow",
        "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": layout.log / "airflow" / "dag_processor",
    }
    return {
        **task_settings(settings, layout).to_env(),
        **mlflow.client_environment(settings.mlflow, layout),
        **{f"AIRFLOW__{name}": str(value) for name, value in options.items()},
        "AIRFLOW_HOME": str(home(layout)),
        "AIRFLOW_CONFIG": str(layout.conf / CONFIG_FILE),
        "AIRFLOW_CONN_MONGO_DEFAULT": _mongo_connection(settings.mongodb),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'plugins'}",
        "PYTHONUNBUFFERED": "1",
        # A process title would overwrite the environment, by which a stack identifies its processes after a crash.
        "SPT_NOENV": "1",
    }


def task_settings(settings: Settings, layout: Layout) -> Settings:
    """Return the settings of DAGs and pages: folders of stream and batch; no pseudonym key."""
    return settings.replace(
        local={"state_dir": layout.root},
        gate={"pseudonym_key": Secret("")},
        flink={"jar": str(jar_path()), "project_dir": str(ROOT), "state_dir": str(data_dir(layout))},
        batch={
            "python": str(python_of("ml")),
            "runs_dir": str(layout.data / "batch"),
            "noise_key": mlflow.noise_key(settings.batch, layout),
        },
    )


def read_keys(layout: Layout) -> Keys | None:
    """Return the keys that this stack has generated; None without any."""
    path = layout.conf / KEYS_FILE
    return msgspec.json.decode(path.read_bytes(), type=Keys) if path.exists() else None


def ensure_keys(layout: Layout) -> None:
    """Generate the keys unless an earlier start did, and write the password file that Airflow reads."""
    keys = read_keys(layout)
    if keys is None or not keys.viewer:
        made = Keys.make()
        keys = made if keys is None else msgspec.structs.replace(keys, viewer=made.viewer)
        write_text(layout.conf / KEYS_FILE, msgspec.json.encode(keys).decode() + "\n", mode=0o600)
    passwords = msgspec.json.encode({USER: keys.password, VIEWER: keys.viewer}).decode() + "\n"
    write_text(layout.conf / PASSWORDS_FILE, passwords, mode=0o600)


def probe(settings: LocalSettings, part: str) -> str | None:
    """Probe one component by Airflow's health: `metadatabase`, `scheduler`, `triggerer` or `dag_processor`."""
    url = f"http://{LOOPBACK}:{settings.ports.airflow}{AIRFLOW_PATH}"
    health: dict[str, dict[str, Any]] = httpx.get(url, timeout=PROBE_TIMEOUT_S).raise_for_status().json()
    return check_airflow(health, part)


def _mongo_connection(settings: MongodbSettings) -> str:
    """Return the archive as an Airflow connection: another scheme, the database as path."""
    address = settings.url.reveal().replace("mongodb://", "mongo://", 1).rstrip("/")
    return f"{address}/{settings.database}"


def _prepare(environment: dict[str, str], layout: Layout) -> None:
    """Migrate the database and create the pools, once for each lock and pool file."""
    stamp = home(layout) / "prepared"
    expected = hashlib.sha256(LOCKS["airflow"].read_bytes() + POOLS.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text().strip() == expected:
        return
    home(layout).mkdir(parents=True, exist_ok=True)
    with (home(layout) / "prepare.lock").open("w") as lock:
        # The migration inherits the lock, because it outlives a killed caller: a second one waits for its end.
        fcntl.flock(lock, fcntl.LOCK_EX)
        for arguments in (("db", "migrate"), ("pools", "import", str(POOLS))):
            _airflow(environment, lock.fileno(), *arguments)
        write_text(stamp, expected + "\n", mode=0o600)


def _airflow(environment: dict[str, str], lock: int, *arguments: str) -> None:
    command = [str(python_of("airflow")), "-P", "-m", "airflow", *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PREPARE_TIMEOUT_S,
        check=False,
        pass_fds=(lock,),
    )
    if done.returncode != 0:
        reason = " ".join(done.stdout.split())[-MAX_REASON_CHARACTERS:]
        raise TerminalError(f"airflow {' '.join(arguments[:2])} failed: {reason}", "check that the disk is not full")
