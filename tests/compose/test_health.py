"""One definition of a healthy server: docker-compose.yaml uses that of include/contracts/health.py."""

import http.server
import json
import threading
from base64 import b64decode
from collections.abc import Iterator

import pytest

from include.contracts.health import (
    AIRFLOW_PATH,
    COMPOSE_COMMANDS,
    MLFLOW_PATH,
    check_airflow,
    check_elasticsearch,
    check_flink,
    check_gate,
    check_kafka,
    check_mongodb,
    check_redis,
    heartbeat_ages,
)
from tests.compose.compose_file import AIRFLOW, DOCKER, OFFICIAL, ONE_SHOT, SERVICES, health, own_images


def test_official_images_have_the_command_of_the_definition() -> None:
    assert set(COMPOSE_COMMANDS) == set(OFFICIAL)
    for name, command in COMPOSE_COMMANDS.items():
        assert SERVICES[name]["healthcheck"]["test"] == ["CMD-SHELL", command], name


def test_project_images_run_a_health_check_that_they_contain() -> None:
    for name in own_images() - ONE_SHOT:
        command = SERVICES[name]["healthcheck"]["test"]
        assert command[:3] == ["CMD", "python", "/opt/showroom/docker/health.py"], name
        assert command[3] in health().CHECKS
        assert name.startswith(command[3])
    for dockerfile in DOCKER.glob("*.Dockerfile"):
        assert "COPY docker/health.py /opt/showroom/docker/\n" in dockerfile.read_text(), dockerfile.name


@pytest.mark.parametrize(
    ("healthy", "unhealthy"),
    [
        (check_kafka([{"node_id": 1}]), check_kafka([])),
        (check_redis({"bf"}), check_redis({"search"})),
        (check_elasticsearch("yellow"), check_elasticsearch("red")),
        (check_elasticsearch("green"), check_elasticsearch("")),
        (check_mongodb({"ok": 1.0}), check_mongodb({"ok": 0.0})),
        (check_flink(1), check_flink(0)),
        (check_gate({0: 1.0, 1: 29.0}, 30), check_gate({0: 1.0, 1: 31.0}, 30)),
        (check_gate({0: 1.0}, 30), check_gate({0: 1.0, 1: None}, 30)),
    ],
)
def test_check_names_what_is_missing(healthy: str | None, unhealthy: str | None) -> None:
    assert healthy is None
    assert unhealthy


def test_gate_check_names_the_partitions_without_a_process() -> None:
    ages = heartbeat_ages([b"999000", None, "969000"], 1_000.0)
    assert ages == {0: 1.0, 1: None, 2: 31.0}
    assert check_gate(ages, 30.0) == "no gate process reads partition 1, 2"


def test_airflow_check_names_the_component() -> None:
    assert check_airflow({"scheduler": {"status": "healthy"}}, "scheduler") is None
    assert check_airflow({"scheduler": {"status": "unhealthy"}}, "scheduler") == "the scheduler is unhealthy"
    assert check_airflow({}, "dag_processor") == "the dag processor is not started"


class _Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        scheme, _, login = self.headers.get("Authorization", "").partition(" ")
        is_allowed = self.path != MLFLOW_PATH or (scheme, b64decode(login)) == ("Basic", b"admin:right")
        bodies = {
            AIRFLOW_PATH: {"scheduler": {"status": "healthy"}},
            "/overview": {},
            "/taskmanagers": {"taskmanagers": [{"path": "pekko.tcp://flink@10.0.0.9:1/x", "slotsNumber": 1}]},
        }
        self.send_response(200 if is_allowed else 401)
        self.end_headers()
        self.wfile.write(json.dumps(bodies.get(self.path, {})).encode())

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), _Server) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


def test_container_check_queries_the_server(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = health()
    for name in ("AIRFLOW", "FLINK", "MLFLOW"):
        monkeypatch.setattr(program, name, server)
    monkeypatch.setenv("MLFLOW_AUTH_ADMIN_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_AUTH_ADMIN_PASSWORD", "right")
    assert program.airflow("scheduler") is None
    assert program.airflow("triggerer") == "the triggerer is not started"
    assert program.flink_jobmanager() is None
    monkeypatch.setattr(program.socket, "gethostbyname", lambda _: "10.0.0.9")
    assert program.flink_taskmanager() is None
    monkeypatch.setattr(program.socket, "gethostbyname", lambda _: "10.0.0.8")
    assert program.flink_taskmanager() == "no TaskManager has registered"
    assert program.mlflow() is None
    monkeypatch.setenv("MLFLOW_AUTH_ADMIN_PASSWORD", "incorrect")
    with pytest.raises(OSError, match="401"):
        program.mlflow()


def test_container_checks_use_the_addresses_of_compose() -> None:
    program = health()
    assert f"http://airflow-api:{SERVICES['airflow-api']['environment']['AIRFLOW__API__PORT']}" == program.AIRFLOW
    assert SERVICES["flink-jobmanager"]["environment"]["SHOWROOM_FLINK_URL"] == program.FLINK
    (port,) = (word.split("=")[1] for word in SERVICES["mlflow"]["command"] if word.startswith("--port="))
    assert program.MLFLOW.endswith(f":{port}")
    assert {name for name in AIRFLOW if name not in SERVICES} == set()
