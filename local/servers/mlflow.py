"""MLflow: runs and models of the nightly batch on one SQLite file, with login."""

import secrets

import httpx
import msgspec

from include.contracts.health import MLFLOW_PATH
from include.contracts.setting import Secret
from include.contracts.settings import LOOPBACK, BatchSettings, LocalSettings, MlflowSettings, Settings
from local.config_files import read_environment, render
from local.install.environments import python_of
from local.layout import Layout, write_text
from local.program import Program

NAME = "mlflow"
USER = "admin"
KEYS_FILE = "mlflow.keys"
AUTH_FILE = "mlflow.ini"
NOISE_FILE = "noise.key"
KEY_BYTES = 32
PROBE_TIMEOUT_S = 3.0


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Signing key of one stack's MLflow, and the password of its only user."""

    password: str
    session: str

    @classmethod
    def make(cls) -> "Keys":
        """Return new random keys; MLflow requires passwords of at least twelve characters."""
        return cls(password=secrets.token_urlsafe(18), session=secrets.token_hex(32))


def program(settings: Settings, layout: Layout) -> Program:
    """Define the server's process; it needs the keys of `ensure_keys` before a start."""
    data = layout.data / "mlflow"
    port = settings.local.ports.mlflow
    keys = read_keys(layout) or Keys(password="", session="")
    return Program(
        name=NAME,
        title="MLflow",
        command=(
            *(str(python_of("ml")), "-P", "-m", "mlflow", "server", "--app-name", "basic-auth"),
            *("--host", LOOPBACK, "--port", str(port)),
            *("--allowed-hosts", f"{LOOPBACK}:{port},localhost:{port}"),
            *("--backend-store-uri", f"sqlite:///{data / 'mlflow.db'}"),
            *("--artifacts-destination", str(data / "artifacts")),
        ),
        priority=360,
        probe=lambda: probe(settings.local, layout),
        address=settings.mlflow.url,
        environment={
            **read_environment("mlflow/server.env"),
            "MLFLOW_AUTH_CONFIG_PATH": str(layout.conf / AUTH_FILE),
            "MLFLOW_AUTH_ADMIN_PASSWORD": keys.password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": keys.session,
            "PYTHONUNBUFFERED": "1",
        },
        ports={"MLflow": port},
        files=lambda: {layout.conf / AUTH_FILE: render("mlflow/basic_auth.ini")},
        directory=data,
        prepare=lambda: data.mkdir(exist_ok=True),
    )


def probe(settings: LocalSettings, layout: Layout) -> str | None:
    """Probe a request of its user that reads the database."""
    url = f"http://{LOOPBACK}:{settings.ports.mlflow}{MLFLOW_PATH}"
    keys = read_keys(layout)
    auth = httpx.BasicAuth(USER, keys.password if keys else "")
    httpx.get(url, auth=auth, timeout=PROBE_TIMEOUT_S).raise_for_status()
    return None


def client_environment(settings: MlflowSettings, layout: Layout) -> dict[str, str]:
    """Return the environment with which MLflow's client finds the server and logs in."""
    keys = read_keys(layout)
    return {
        "MLFLOW_TRACKING_URI": settings.url,
        "MLFLOW_TRACKING_USERNAME": USER,
        "MLFLOW_TRACKING_PASSWORD": keys.password if keys else "",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def read_keys(layout: Layout) -> Keys | None:
    """Return the keys that this stack has generated; None without any."""
    path = layout.conf / KEYS_FILE
    return msgspec.json.decode(path.read_bytes(), type=Keys) if path.exists() else None


def ensure_keys(settings: BatchSettings, layout: Layout) -> None:
    """Generate missing keys of the server, and the key of the private models' noise."""
    if read_keys(layout) is None:
        write_text(layout.conf / KEYS_FILE, msgspec.json.encode(Keys.make()).decode() + "\n", mode=0o600)
    if not noise_key(settings, layout):
        write_text(layout.conf / NOISE_FILE, secrets.token_hex(KEY_BYTES) + "\n", mode=0o600)


def noise_key(settings: BatchSettings, layout: Layout) -> Secret:
    """Return the key of the settings, else the generated key of this stack, else an empty one."""
    path = layout.conf / NOISE_FILE
    if settings.noise_key or not path.exists():
        return settings.noise_key
    return Secret(path.read_text().strip())
