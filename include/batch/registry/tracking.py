"""MLflow client with short timeouts; its errors are raised as errors of the project."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from include.contracts.errors import TerminalError, TransientError
from include.contracts.settings import Settings

EXPERIMENT = "batch_nightly"
MAX_REASON_CHARS = 300
CLIENT_TIMEOUTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""Short retries and timeouts, because Airflow retries the whole step when MLflow is unavailable."""

UNAVAILABLE_CODES = frozenset(
    {
        *("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "DEADLINE_EXCEEDED", "REQUEST_LIMIT_EXCEEDED"),
        *("RESOURCE_EXHAUSTED", "ABORTED", "CANCELLED"),
    }
)
ABSENT = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"})
SERVER_FAULT = 500


def connect(settings: Settings) -> MlflowClient:
    """Return a client of the configured MLflow; it sends no request yet.

    MLflow reads credentials from its own environment variables.
    """
    for name, value in CLIENT_TIMEOUTS.items():
        os.environ.setdefault(name, value)
    with errors("connect"):
        return MlflowClient(tracking_uri=settings.mlflow.url, registry_uri=settings.mlflow.url)


def experiment(client: MlflowClient) -> str:
    """Return the id of the nightly runs' experiment; create or restore it where necessary."""
    with errors("open the experiment"):
        existing = client.get_experiment_by_name(EXPERIMENT)
        if existing is None:
            return str(client.create_experiment(EXPERIMENT))
        if existing.lifecycle_stage == "deleted":
            client.restore_experiment(existing.experiment_id)
        return str(existing.experiment_id)


@contextmanager
def errors(doing: str) -> Iterator[None]:
    """Raise what fails inside as TransientError (away, busy) or TerminalError (refused, or not there)."""
    try:
        yield
    except MlflowException as error:
        reason = str(error.message)[:MAX_REASON_CHARS]
        if error.error_code in UNAVAILABLE_CODES:
            raise TransientError(
                f"{doing}: MLflow does not answer ({reason})", "see that it runs: ./showroom status"
            ) from error
        raise TerminalError(f"{doing}: MLflow refused: {reason}", "see SHOWROOM_MLFLOW_URL and its login") from error
    except requests.RequestException as error:
        status = error.response.status_code if error.response is not None else None
        if status is None or status >= SERVER_FAULT:
            raise TransientError(
                f"{doing}: MLflow does not answer ({type(error).__name__})", "see that it runs: ./showroom status"
            ) from error
        raise TerminalError(f"{doing}: MLflow answers {status}", "see whether its artefacts are still there") from error
