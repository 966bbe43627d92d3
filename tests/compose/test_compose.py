"""docker-compose.yaml matches the contracts and the local stack.

Containers cannot run where these tests run, so they read the file only.
"""

import ast
import re

import pytest

from include.contracts.errors import SettingsError
from include.contracts.renamed_settings import RENAMED
from include.contracts.setting import Secret
from include.contracts.settings import PREFIX, Settings, all_settings
from tests.compose.compose_file import (
    AIRFLOW,
    COMPOSE,
    DOCKER,
    IMAGE,
    OFFICIAL,
    ONE_SHOT,
    PORTS,
    SECRETS,
    SERVICES,
    environment_of,
    flink_config,
    own_images,
    settings_of,
)
from tools.generated_docs import PROJECT

FLINK = flink_config()
each_service = pytest.mark.parametrize("name", SERVICES)


def test_services_match_the_local_stack_plus_image_only_ones() -> None:
    local = {"kafka", "redis", "elasticsearch", "flink-jobmanager", "flink-taskmanager", "gate-0", *AIRFLOW}
    assert set(SERVICES) == local | ONE_SHOT | {"kibana", "gate-1", "mlflow", "mongo", "postgres"}
    profiles = {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service}
    assert profiles == {"gate-1": ["wide"], "shop": ["shop"]}


@each_service
def test_settings_of_all_services_are_valid(name: str) -> None:
    settings_of(name)


def test_tunables_pass_to_every_stage_and_have_their_defaults_in_the_contracts_only() -> None:
    # Empty addresses follow the port table, which does not apply to containers.
    tunables = {
        item.variable for item in all_settings() if not isinstance(item.default, Secret) and item.default != ""
    } - {"SHOWROOM_LOCAL_STATE_DIR", "SHOWROOM_LOCAL_PORT_OFFSET"}
    for name in ("prepare", "shop", "gate-0", "gate-1", "flink-jobmanager", "flink-taskmanager", *AIRFLOW):
        written = SERVICES[name]["environment"]
        assert {key for key in tunables if written.get(key, "") is None} == tunables, name


@pytest.mark.parametrize("name", ["prepare", "gate-0", "flink-jobmanager", "flink-taskmanager", *AIRFLOW])
def test_settings_of_the_caller_reach_the_stages(name: str) -> None:
    result = settings_of(name, {"SHOWROOM_KAFKA_PARTITIONS": "8", "SHOWROOM_STREAM_BULK_MAX_DOCUMENTS": "100"})
    assert (result.kafka.partitions, result.stream.bulk_max_documents) == (8, 100)
    assert environment_of("kafka", {"SHOWROOM_KAFKA_PARTITIONS": "8"})["KAFKA_NUM_PARTITIONS"] == "8"


def test_addresses_name_services_and_their_ports() -> None:
    result = settings_of("gate-0")
    assert result.kafka.bootstrap_servers == "kafka:9092"
    assert "PLAINTEXT://:9092" in environment_of("kafka")["KAFKA_LISTENERS"]
    assert "PLAINTEXT://kafka:9092" in environment_of("kafka")["KAFKA_ADVERTISED_LISTENERS"]
    assert result.redis.url.reveal() == f"redis://:{SECRETS['REDIS_PASSWORD']}@redis:6379/0"
    assert result.elasticsearch.url == environment_of("kibana")["ELASTICSEARCH_HOSTS"] == "http://elasticsearch:9200"
    assert result.flink.url == f"http://{FLINK['rest.address']}:{FLINK['rest.port']}"
    assert FLINK["rest.address"] == FLINK["jobmanager.rpc.address"] == "flink-jobmanager"


def test_dashboards_are_imported_when_kibana_responds_and_daily() -> None:
    for name in ("dashboards", *AIRFLOW):
        assert settings_of(name).kibana.url == "http://kibana:5601"
    # The import waits for Kibana itself; with a health condition here, a slow Kibana would block Airflow's start.
    assert SERVICES["dashboards"]["depends_on"] == {"kibana": {"condition": "service_started"}}


@each_service
def test_images_are_pinned(name: str) -> None:
    image = SERVICES[name]["image"]
    match = IMAGE.fullmatch(image)
    assert match and match["tag"] != "latest", image
    assert name in own_images() or image == OFFICIAL[name]


def test_elasticsearch_kibana_and_the_local_stack_have_one_version() -> None:
    pom = (PROJECT / "local/install/pom.xml").read_text()
    tag = OFFICIAL["elasticsearch"].split(":")[1]
    assert f"<elasticsearch.version>{tag}</elasticsearch.version>" in pom
    assert OFFICIAL["kibana"].split(":")[1] == tag
    assert f"<kafka.version>{OFFICIAL['kafka'].split(':')[1]}</kafka.version>" in pom


def is_in_build_context(source: str) -> bool:
    """Return whether .dockerignore, which excludes everything and then lists exceptions, includes a path."""
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    included = [line.removeprefix("!") for line in lines if line.startswith("!")]
    return any(source == name or source.startswith(f"{name}/") for name in included)


@pytest.mark.parametrize("dockerfile", sorted(path.name for path in DOCKER.glob("*.Dockerfile")))
def test_project_images_are_pinned_hashed_and_rootless(dockerfile: str) -> None:
    text = (DOCKER / dockerfile).read_text()
    stages = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    for stage in stages:
        match = IMAGE.fullmatch(stage)
        assert match and match["tag"] != "latest" and "." in match["tag"], stage
    assert "--require-hashes" in text
    users = re.findall(r"^USER (\S+)", text, re.MULTILINE)
    # A number, because Kubernetes' runAsNonRoot resolves no names.
    assert users == ["10001:10001"]
    for copied in re.findall(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", text, re.MULTILINE):
        for source in copied.split():
            assert (PROJECT / source).exists(), source
            assert is_in_build_context(source), f"{source} is excluded by .dockerignore"


def test_project_images_have_the_versions_of_the_locks() -> None:
    version = re.search(r"^apache-flink==(\S+)", (PROJECT / "requirements/flink.txt").read_text(), re.MULTILINE)
    assert version
    assert "pipeline.jars" not in FLINK, "a job submitted over REST gets it overwritten"
    dockerfile = (DOCKER / "flink.Dockerfile").read_text()
    assert "COPY --from=connector /build/jars/flink/ /opt/flink/lib/\n" in dockerfile
    # The request guard accepts this name besides loopback.
    own = f"http://{FLINK['rest.address']}:{FLINK['rest.port']}"
    assert FLINK["web.access-control-allow-origin"] == own == settings_of("airflow-scheduler").flink.url
    for dockerfile in ("airflow.Dockerfile", "flink.Dockerfile"):
        text = (DOCKER / dockerfile).read_text()
        assert f"FROM flink:{version[1]} AS flink" in text
        assert f"/opt/flink/opt/flink-python-{version[1]}.jar /opt/flink/lib/flink-dist-{version[1]}.jar " in text
    texts = [path.read_text() for path in DOCKER.glob("*.Dockerfile")]
    bases = {re.findall(r"^FROM (python:\S+)", text, re.MULTILINE)[-1] for text in texts}
    assert len(bases) == 1


@each_service
def test_services_have_a_health_check_or_are_one_shot(name: str) -> None:
    service = SERVICES[name]
    if name in ONE_SHOT:
        assert "healthcheck" not in service
        assert service["restart"] == "no" or service["restart"].startswith("on-failure:")
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
        assert {"interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])


@each_service
def test_dependants_wait_until_what_they_need_works(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        if (name, needed) == ("dashboards", "kibana"):
            continue
        expected = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
        assert how["condition"] == expected
        assert needed in SERVICES


def test_services_start_after_their_servers() -> None:
    def all_needed(name: str) -> set[str]:
        needed = set(SERVICES[name].get("depends_on", {}))
        return needed.union(*(all_needed(other) for other in needed)) if needed else needed

    assert {"kafka", "elasticsearch"} <= all_needed("prepare")
    assert {"kafka", "redis", "prepare"} <= all_needed("gate-0")
    assert {"prepare", "elasticsearch"} <= all_needed("kibana")
    assert {"prepare", "flink-jobmanager"} <= all_needed("flink-taskmanager")
    assert all_needed("airflow-init") == {"postgres"}
    for name in AIRFLOW:
        assert {"prepare", "airflow-init", "postgres"} <= all_needed(name)
    # The scheduler runs the tasks, and one of them starts the stream immediately.
    servers = {"kafka", "redis", "elasticsearch", "mongo", "mlflow", "flink-jobmanager", "flink-taskmanager"}
    assert servers <= all_needed("airflow-scheduler")


@each_service
def test_services_have_limits_and_no_privileges(name: str) -> None:
    service = SERVICES[name]
    limits = service["deploy"]["resources"]["limits"]
    assert float(limits["cpus"]) > 0
    assert re.fullmatch(r"\d+[mg]", limits["memory"])
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "pid"} & set(service)


@each_service
def test_published_ports_listen_on_loopback(name: str) -> None:
    published = SERVICES[name].get("ports", [])
    assert [text.split(":")[0] for text in published] == ["127.0.0.1"] * len(published)
    assert [int(text.split(":")[1]) for text in published] == ([PORTS[name]] if name in PORTS else [])


def test_gate_processes_have_distinct_names() -> None:
    indices = [SERVICES[name]["command"][-2:] for name in ("gate-0", "gate-1")]
    assert indices == [["--index", "0"], ["--index", "1"]]


def test_flink_has_slots_for_the_job_and_keeps_its_state_on_a_volume() -> None:
    assert FLINK["taskmanager.numberOfTaskSlots"] > Settings().stream.parallelism
    for name in ("flink-jobmanager", "flink-taskmanager", *AIRFLOW):
        (mount,) = (volume.split(":") for volume in SERVICES[name]["volumes"] if volume.startswith("flink:"))
        for key in ("execution.checkpointing.dir", "execution.checkpointing.savepoint-dir"):
            assert FLINK[key].startswith(f"file://{mount[1]}/")
        assert mount[2:] == (["ro"] if name in AIRFLOW else [])


def test_commands_name_modules_and_files_that_exist() -> None:
    for name in own_images():
        tests = SERVICES[name].get("healthcheck", {}).get("test", [])
        entry = re.findall(r'/opt/showroom/[^"]+', (DOCKER / "airflow.Dockerfile").read_text().split("ENTRYPOINT")[1])
        for word in [*SERVICES[name]["command"], *tests, *entry]:
            if word.startswith("/opt/showroom/"):
                assert (PROJECT / word.removeprefix("/opt/showroom/")).is_file(), word
            if word.startswith("include."):
                path = PROJECT / word.replace(".", "/")
                assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), word


def test_named_volumes_are_declared_and_used() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])


def test_project_images_copy_all_imports_of_their_programs() -> None:
    allowed = "include.contracts"  # all modules of include in the Flink image
    for path in (PROJECT / "flink").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("include"):
                assert node.module.startswith(allowed), f"{path.name}: {node.module}"


@pytest.mark.parametrize("former", sorted(RENAMED))
def test_prepare_refuses_a_setting_under_its_former_name(former: str) -> None:
    with pytest.raises(SettingsError, match=f"{PREFIX}{former} is now {PREFIX}{RENAMED[former]}"):
        settings_of("prepare", {f"{PREFIX}{former}": "1"})


def test_empty_setting_of_the_caller_is_the_default() -> None:
    assert settings_of("gate-0", {"SHOWROOM_KAFKA_PARTITIONS": ""}) == settings_of("gate-0")
