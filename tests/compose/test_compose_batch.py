"""MLflow and the nightly batch in docker-compose.yaml, compared with the local stack."""

from urllib.parse import urlsplit

import pytest

from include.contracts.settings import Settings
from local.servers import mlflow
from tests.compose.compose_file import AIRFLOW, DOCKER, SECRETS, SERVICES, environment_of, settings_of


def options(words: list[str]) -> dict[str, str]:
    """Return option -> value, for options with `=` or a separate word."""
    results: dict[str, str] = {}
    for word in " ".join(words).replace("=", " ").split("--")[1:]:
        name, _, value = word.strip().partition(" ")
        results[name] = value
    return results


def test_mlflow_data_is_in_its_volume() -> None:
    (mount,) = SERVICES["mlflow"]["volumes"]
    folder = mount.split(":")[1]
    command = options(SERVICES["mlflow"]["command"])
    assert command["backend-store-uri"].startswith(f"sqlite:///{folder}/")
    assert command["artifacts-destination"].startswith(f"{folder}/")
    # The users' configuration names its database relative to the working directory.
    assert f"WORKDIR {folder}\n" in (DOCKER / "mlflow.Dockerfile").read_text()


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


def test_airflow_has_the_batch_environment_and_a_runs_folder() -> None:
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
def test_batch_window_setting_is_passed_on(given: dict[str, str]) -> None:
    assert settings_of("airflow-scheduler", given).batch.window_days == int(
        given.get("SHOWROOM_BATCH_WINDOW_DAYS", "14")
    )
