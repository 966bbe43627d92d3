"""Secrets of each service in docker-compose.yaml, and the privileges of the Elasticsearch keys."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from include.contracts.index_documents import INDICES, NEIGHBOURS_ALIAS, PIPELINE, STREAM_INDICES, index_pattern
from include.contracts.settings import PREFIX
from include.provision.api_keys import AIRFLOW_ROLE, STREAM_ROLE
from tests.compose.compose_file import (
    AIRFLOW,
    COMPOSE,
    DOCKER,
    SECRETS,
    SERVICES,
    VARIABLE,
    environment_of,
    flink_config,
    resolved,
    strings,
)
from tools.generated_docs import PROJECT

each_service = pytest.mark.parametrize("name", SERVICES)


def test_secrets_come_from_the_environment_and_have_no_default() -> None:
    named = {match["name"]: match for text in strings(COMPOSE) for match in VARIABLE.finditer(text)}
    for text in strings(COMPOSE):
        for match in VARIABLE.finditer(text):
            assert (match["kind"] == "?") == (match["name"] in SECRETS), match.group()
            assert match["kind"] == "?" or match["name"].startswith(PREFIX), match.group()
    assert set(SECRETS) <= set(named)
    example = (PROJECT / ".env.example").read_text()
    for secret in SECRETS:
        assert f"\n{secret}=\n" in example
        with pytest.raises(KeyError, match=secret):
            resolved(f"${{{secret}:?set it in .env}}", {})


@each_service
def test_secrets_are_passed_to_their_users_only(name: str) -> None:
    gates, airflow = {"gate-0", "gate-1"}, {"airflow-init", *AIRFLOW}
    owners = {
        "SHOWROOM_GATE_PSEUDONYM_KEY": gates,
        "SHOWROOM_BATCH_NOISE_KEY": airflow,
        "MLFLOW_TRACKING_PASSWORD": airflow,
        "MLFLOW_AUTH_ADMIN_PASSWORD": {"mlflow"},
        "SHOWROOM_REDIS_URL": gates | airflow,
        "SHOWROOM_MONGODB_URL": airflow,
        "SHOWROOM_SUPERVISE_ALERT_WEBHOOK": airflow,
        "AIRFLOW_KEY_FILE": airflow | {"prepare"},
        "STREAM_KEY_FILE": {"prepare", "flink-jobmanager"},
        "ELASTIC_PASSWORD": {"prepare", "dashboards", "elasticsearch"},
        "AIRFLOW_PASSWORD": {"airflow-init"},
        "AIRFLOW_VIEWER_PASSWORD": {"airflow-init"},
    }
    existing = SERVICES[name].get("environment", {})
    assert {secret for secret in owners if secret in existing} == {key for key, who in owners.items() if name in who}


def test_stream_key_writes_its_indices_only() -> None:
    (grant,) = STREAM_ROLE["indices"]
    assert grant["names"] == [index_pattern(alias) for alias in STREAM_INDICES]
    assert set(grant["privileges"]) == {"create_index", "index"}


def test_airflow_key_manages_indices_and_writes_events_and_neighbours_only() -> None:
    every, events, batch = AIRFLOW_ROLE["indices"]
    assert set(every["names"]) == {*INDICES, *(index_pattern(alias) for alias in INDICES)}
    assert set(every["privileges"]) == {"read", "manage"}
    assert set(events["names"]) == {PIPELINE, index_pattern(PIPELINE)}
    assert set(events["privileges"]) == {"write"}
    assert set(batch["names"]) == {NEIGHBOURS_ALIAS, f"{NEIGHBOURS_ALIAS}-*"}
    assert set(batch["privileges"]) == {"read", "write", "manage"}
    (kibana,) = AIRFLOW_ROLE["applications"]
    assert (kibana["application"], kibana["resources"]) == ("kibana-.kibana", ["space:default"])
    assert set(AIRFLOW_ROLE["cluster"]) == {"monitor", "manage_index_templates"}


@pytest.mark.parametrize(("key", "readers"), [("stream", ["flink-jobmanager"]), ("airflow", AIRFLOW)])
def test_api_key_volume_is_mounted_by_its_readers_only(key: str, readers: list[str]) -> None:
    variable, volume = f"{key.upper()}_KEY_FILE", f"{key}-key"
    folders = {Path(SERVICES[name]["environment"][variable]).parent for name in ("prepare", *readers)}
    assert len(folders) == 1
    folder = folders.pop()
    mounts = {
        name: mount
        for name, service in SERVICES.items()
        for mount in service.get("volumes", [])
        if mount.startswith(f"{volume}:")
    }
    assert mounts == {"prepare": f"{volume}:{folder}"} | dict.fromkeys(readers, f"{volume}:{folder}:ro")
    # A new volume inherits owner and mode of the image's folder.
    for dockerfile in ("gate.Dockerfile", "flink.Dockerfile" if key == "stream" else "airflow.Dockerfile"):
        assert str(folder) in (DOCKER / dockerfile).read_text()


@pytest.mark.parametrize(("process", "holds"), [("jobmanager", True), ("taskmanager", False)])
def test_flink_start_the_key_is_in_the_environment_of_the_jobmanager_only(
    tmp_path: Path, process: str, holds: bool
) -> None:
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / f"{process}.sh"
    script.write_text("#!/bin/sh\nenv\n")
    script.chmod(0o755)
    key = tmp_path / "key"
    key.write_text("the-streams-key\n")
    bash = shutil.which("bash")
    assert bash
    # Privileges that a container must not get.
    environment = environment_of(f"flink-{process}") | {
        "FLINK_HOME": str(tmp_path),
        "FLINK_CONF_DIR": str(tmp_path),
        "FLINK_CONFIG": str(PROJECT / "config/flink/config.yaml"),
        "STREAM_KEY_FILE": str(key),
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
    }
    environment["SHOWROOM_ELASTICSEARCH_API_KEY"] = "another-key"

    done = subprocess.run(
        [bash, str(DOCKER / "flink" / "start.sh"), process],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert ("the-streams-key" in done.stdout) is holds
    assert "another-key" not in done.stdout
    assert yaml.safe_load((tmp_path / "config.yaml").read_text()) == flink_config()


def test_compose_taskmanager_has_neither_key_nor_the_volume_of_the_key() -> None:
    taskmanager = SERVICES["flink-taskmanager"]
    assert not any(name.endswith(("KEY", "KEY_FILE", "PASSWORD")) for name in taskmanager["environment"])
    assert taskmanager["volumes"] == ["flink:/var/lib/showroom/flink"]
