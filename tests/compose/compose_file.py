"""Parser of docker-compose.yaml and the files it uses, with Compose's rules."""

import re
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from string import Template
from typing import Any

import yaml

from include.contracts.ports import Ports
from include.contracts.settings import PREFIX, Settings
from local.config_files import read_environment
from local.servers.airflow import COMPONENTS
from tools.generated_docs import CONTAINER_SECRETS, PROJECT

DOCKER = PROJECT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
KEYS = (f"{PREFIX}GATE_PSEUDONYM_KEY", f"{PREFIX}BATCH_NOISE_KEY")
SECRETS = dict.fromkeys((*CONTAINER_SECRETS, *KEYS), "s" * 32)
ONE_SHOT = {"prepare", "dashboards", "airflow-init", "shop"}
AIRFLOW = [component[0] for component in COMPONENTS]
"""The permanent services of Airflow; `airflow-init` runs before them."""
OFFICIAL = {
    "kafka": "apache/kafka:4.3.1",
    "redis": "redis:8.2.9",
    "elasticsearch": "elasticsearch:8.19.16",
    "kibana": "kibana:8.19.16",
    "mongo": "mongo:7.0.40",
    "postgres": "postgres:17.11",
}
PORTS = {
    "kafka": Ports().kafka,
    "redis": Ports().redis,
    "elasticsearch": Ports().elasticsearch,
    "mongo": Ports().mongodb,
    "airflow-api": Ports().airflow,
    "mlflow": Ports().mlflow,
    "kibana": 5601,
}
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")
"""The three supported forms: ${NAME}, ${NAME:-default}, ${NAME:?message}."""
IMAGE = re.compile(r"[a-z0-9./-]+:(?P<tag>[\w.-]+)")


def resolved(text: str, environment: dict[str, str]) -> str:
    """Return the text with variables replaced. Raises KeyError for a missing variable without a default."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match["name"], match["kind"], match["rest"]
        if environment.get(name):
            return environment[name]
        if kind == "-":
            return str(rest)
        raise KeyError(name)

    return VARIABLE.sub(value, text)


def strings(value: Any) -> Iterator[str]:
    """Return every nested string except keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for part in value.values() for text in strings(part))
    elif isinstance(value, list):
        yield from (text for part in value for text in strings(part))


def environment_of(name: str, given: dict[str, str] | None = None) -> dict[str, str]:
    """Return the service's environment; `given` is the caller's, for names without a value."""
    caller = SECRETS | (given or {})
    written: dict[str, str | None] = SERVICES[name].get("environment", {})
    values = {key: caller.get(key) if value is None else resolved(str(value), caller) for key, value in written.items()}
    files = SERVICES[name].get("env_file")
    shared = read_environment(files.removeprefix("config/")) if files else {}
    return shared | {key: value for key, value in values.items() if value is not None}


def health() -> Any:
    """Return docker/health.py, the health checks of the project's images, as a module."""
    spec = spec_from_file_location("container_health", DOCKER / "health.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def mounted(name: str) -> dict[str, str]:
    """Return container path -> text of each project file that a service mounts."""
    sources = {config: value.get("file") for config, value in COMPOSE["configs"].items()}
    return {
        config["target"]: (PROJECT / sources[config["source"]]).read_text()
        for config in SERVICES[name].get("configs", [])
        if sources[config["source"]]
    }


def flink_config() -> dict[str, Any]:
    """Return Flink's configuration as docker/flink/start.sh renders it."""
    (text,) = mounted("flink-jobmanager").values()
    result: dict[str, Any] = yaml.safe_load(Template(text).substitute(environment_of("flink-jobmanager")))
    return result


def settings_of(name: str, given: dict[str, str] | None = None) -> Settings:
    return Settings.from_env(environment_of(name, given))


def own_images() -> set[str]:
    """Return the services that run an image of this project, whether they build it or only name it."""
    return {name for name, service in SERVICES.items() if service["image"].startswith("showroom/")}


def networks_of(name: str) -> set[str]:
    return set(SERVICES[name]["networks"])


def reach(name: str) -> set[str]:
    """Return the other services that share a network with this one."""
    return {other for other in SERVICES if networks_of(other) & networks_of(name)} - {name}
