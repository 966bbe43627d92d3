"""One configuration file per server: compose mounts it, the local stack renders it, and no option is set twice."""

import configparser
import re
from pathlib import Path
from string import Template

import pytest
import yaml

from include.contracts.settings import Settings
from include.contracts.topics import MAX_MESSAGE_BYTES, OFFSETS_RETENTION_DAYS
from local.config_files import CONFIG, read_environment
from local.install.flink_jar import flink_home
from local.layout import Layout
from local.program import Program
from local.servers import airflow, elasticsearch, flink, kafka, mlflow, redis
from tests.compose.compose_file import (
    AIRFLOW,
    COMPOSE,
    SECRETS,
    SERVICES,
    environment_of,
    flink_config,
    mounted,
    resolved,
)
from tests.compose.test_compose_batch import options

TARGETS = {
    "kafka": ("kafka/server.properties", "/mnt/shared/config/server.properties"),
    "redis": ("redis/redis.conf", "/etc/redis/redis.conf"),
    "elasticsearch": ("elasticsearch/elasticsearch.yml", "/usr/share/elasticsearch/config/elasticsearch.yml"),
    "mlflow": ("mlflow/basic_auth.ini", "/opt/showroom/config/mlflow/basic_auth.ini"),
    **dict.fromkeys(
        ("flink-jobmanager", "flink-taskmanager"), ("flink/config.yaml", "/opt/showroom/config/flink/config.yaml")
    ),
    **dict.fromkeys(("airflow-init", *AIRFLOW), ("airflow/airflow.cfg", "/opt/showroom/config/airflow/airflow.cfg")),
}
"""Service -> its file in `config/`, and where the image reads it."""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout.below(tmp_path)
    mlflow.ensure_keys(Settings().batch, layout)
    return layout


def rendered(program: Program, name: str) -> str:
    """Return the file of this name that the local stack writes for a server."""
    (text,) = (text for path, text in program.files().items() if path.name == name)
    return text


def keys(name: str) -> set[str]:
    """Return the options of a file of `config/`."""
    lines = (CONFIG / name).read_text().splitlines()
    matches = (re.match(r"([\w.-]+)\s*[:= ]", line) for line in lines)
    return {match[1] for match in matches if match}


def airflow_options() -> set[str]:
    """Return the options of airflow.cfg as names of environment variables."""
    parser = configparser.ConfigParser()
    parser.read(CONFIG / "airflow/airflow.cfg")
    return {f"AIRFLOW__{section}__{option}".upper() for section in parser.sections() for option in parser[section]}


def test_config_file_is_mounted_at_the_path_of_the_image() -> None:
    for service, (name, target) in TARGETS.items():
        assert mounted(service) == {target: (CONFIG / name).read_text()}, service
    assert {service for service in SERVICES if mounted(service)} == set(TARGETS)


def test_local_stack_writes_the_mounted_files(layout: Layout) -> None:
    settings = Settings()
    for module, service in ((kafka, "kafka"), (redis, "redis")):
        name, target = TARGETS[service]
        assert rendered(module.program(settings, layout), Path(name).name).startswith(mounted(service)[target])
    (text,) = mounted("airflow-api").values()
    for program in airflow.programs(settings, layout):
        assert rendered(program, "airflow.cfg") == text
        assert str(layout.conf / "airflow.cfg") == program.environment["AIRFLOW_CONFIG"]
    (text,) = mounted("mlflow").values()
    assert rendered(mlflow.program(settings, layout), mlflow.AUTH_FILE) == text
    assert read_environment("mlflow/server.env").items() <= mlflow.program(settings, layout).environment.items()


def test_local_stack_and_containers_differ_only_in_variables(layout: Layout) -> None:
    local = yaml.safe_load(rendered(elasticsearch.program(Settings().local, layout), "elasticsearch.yml"))
    (text,) = mounted("elasticsearch").values()
    container = yaml.safe_load(Template(text).substitute(environment_of("elasticsearch")))
    differing = {key for key in local if local[key] != container[key]}
    places = {"node.name", "path.data", "path.logs", "network.host", "http.port", "transport.port"}
    assert differing == {*places, "xpack.security.enabled"}
    assert container["xpack.security.enabled"] is True

    for program in flink.programs(Settings(), layout):
        local = yaml.safe_load(rendered(program, "config.yaml"))
        container = flink_config()
        differing = {key for key in local if str(local[key]) != str(container[key])}
        apart = re.compile(r".*(address|port|host|origin|dir|dirs|tmpdir|executable)$")
        assert {key for key in differing if not apart.fullmatch(key)} == {"env.java.opts.all"}


@pytest.mark.parametrize("service", ["elasticsearch", "flink-jobmanager", "flink-taskmanager"])
def test_config_file_variables_have_values_in_compose(service: str) -> None:
    (text,) = mounted(service).values()
    named = set(Template(text).get_identifiers())
    given = environment_of(service)
    assert named <= set(given)
    prefix = "FLINK_" if "flink" in service else "ES_"
    assert {key for key in given if key.startswith(prefix)} - {"ES_JAVA_OPTS"} == named


def test_kafka_options_are_in_its_file_or_in_its_place(layout: Layout) -> None:
    shared = keys("kafka/server.properties")
    container = {
        key.removeprefix("KAFKA_").lower().replace("_", ".")
        for key in environment_of("kafka")
        if key != "KAFKA_HEAP_OPTS"
    }
    text = rendered(kafka.program(Settings(), layout), "server.properties")
    local = [line.split("=")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(local) == len(set(local))
    assert not shared & container
    assert set(local) == shared | container
    assert environment_of("kafka", {"SHOWROOM_KAFKA_PARTITIONS": "8"})["KAFKA_NUM_PARTITIONS"] == "8"
    assert environment_of("kafka")["KAFKA_NUM_PARTITIONS"] == str(Settings().kafka.partitions)


def test_kafka_accepts_contract_records_and_retains_their_offsets() -> None:
    values = dict(line.split("=", 1) for line in mounted("kafka")[TARGETS["kafka"][1]].splitlines() if "=" in line)
    assert int(values["message.max.bytes"]) == MAX_MESSAGE_BYTES
    assert int(values["offsets.retention.minutes"]) == OFFSETS_RETENTION_DAYS * 24 * 60


def test_redis_options_are_in_its_file_or_in_its_place(layout: Layout) -> None:
    def directives(text: str) -> list[str]:
        return [line.split(" ", 1)[0] for line in text.splitlines() if line and not line.startswith("#")]

    text = resolved(COMPOSE["configs"]["redis-container"]["content"], SECRETS)
    container = dict(line.split(" ", 1) for line in text.splitlines())
    assert container["include"] in mounted("redis")
    assert not keys("redis/redis.conf") & set(container)
    assert container["requirepass"] == SECRETS["REDIS_PASSWORD"]
    assert container["maxmemory"] == f"{Settings().redis.max_memory_mb}mb"
    assert SERVICES["redis"]["volumes"] == [f"redis:{container['dir']}"]
    (target,) = (item["target"] for item in SERVICES["redis"]["configs"] if item["source"] == "redis-container")
    assert SERVICES["redis"]["command"] == ["redis-server", target]
    local = directives(rendered(redis.program(Settings(), layout), "redis.conf"))
    assert len(local) - len(set(local)) == 0


def test_elasticsearch_options_are_in_its_file_or_in_its_place() -> None:
    container = {key for key in environment_of("elasticsearch") if "." in key}
    assert container == {
        "xpack.security.http.ssl.enabled",
        "xpack.security.transport.ssl.enabled",
        "xpack.ml.enabled",
    }
    assert not keys("elasticsearch/elasticsearch.yml") & container


def test_airflow_options_are_in_its_file_or_in_its_place(layout: Layout) -> None:
    shared = airflow_options()
    local = {key for key in airflow.environment_of(Settings(), layout) if key.startswith("AIRFLOW__")}
    container = {key for key in environment_of("airflow-api") if key.startswith("AIRFLOW__")}
    assert local == container
    assert not shared & local
    assert environment_of("airflow-api")["AIRFLOW_CONFIG"] in mounted("airflow-api")


def test_airflow_users_have_passwords() -> None:
    (text,) = mounted("airflow-api").values()
    assert f"\nsimple_auth_manager_users = {airflow.USER}:admin,{airflow.VIEWER}:viewer\n" in text


def test_mlflow_options_are_in_its_files_or_in_its_place(layout: Layout) -> None:
    program = mlflow.program(Settings(), layout)
    shared = read_environment("mlflow/server.env")
    assert not set(shared) & set(SERVICES["mlflow"]["environment"])
    assert shared["MLFLOW_AUTH_ADMIN_USERNAME"] == mlflow.USER
    local = options(list(program.command[program.command.index("server") + 1 :]))
    container = options(SERVICES["mlflow"]["command"])
    places = {"host", "port", "allowed-hosts", "backend-store-uri", "artifacts-destination"}
    # The only option without an environment variable.
    assert local["app-name"] == container["app-name"]
    assert set(local) == set(container) == {*places, "app-name"}
    assert set(environment_of("mlflow")) == set(program.environment) - {"PYTHONUNBUFFERED"}
    assert environment_of("mlflow")["MLFLOW_AUTH_CONFIG_PATH"] in mounted("mlflow")
    assert program.directory == layout.data / "mlflow"


def test_flink_opens_the_java_packages_that_pyflink_ships_with() -> None:
    shipped = yaml.safe_load((flink_home() / "conf" / "config.yaml").read_text())["env"]["java"]["opts"]["all"]
    assert flink_config()["env.java.opts.all"].split() == shipped.split()
