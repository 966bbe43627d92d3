"""MLflow's client: connect with short limits, and translate its errors."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from include.clients.errors import MAX_REASON_CHARACTERS, unavailable
from include.contracts.errors import TerminalError

LIMITS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""The client's environment variables. Its retries are few because the whole step is retried later."""

UNAVAILABLE = frozenset(
    {
        *("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "DEADLINE_EXCEEDED", "REQUEST_LIMIT_EXCEEDED"),
        *("RESOURCE_EXHAUSTED", "ABORTED", "CANCELLED"),
    }
)
ABSENT = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"})
SERVER_ERROR = 500


def connect(url: str) -> MlflowClient:
    """Return a client; it connects with its first request. A login is in MLflow's own environment variables."""
    for name, value in LIMITS.items():
        os.environ.setdefault(name, value)
    with translate_errors("connection to MLflow"):
        return MlflowClient(tracking_uri=url, registry_uri=url)


@contextmanager
def translate_errors(operation: str) -> Iterator[None]:
    """Raise the client's errors as TransientError (unavailable, busy) or TerminalError (refused, or absent)."""
    try:
        yield
    except MlflowException as error:
        reason = str(error.message)[:MAX_REASON_CHARACTERS]
        if error.error_code in UNAVAILABLE:
            raise unavailable(operation, "MLflow", reason) from error
        raise TerminalError(
            f"{operation} failed: MLflow refused: {reason}", "see SHOWROOM_MLFLOW_URL and its login"
        ) from error
    except requests.RequestException as error:
        status = error.response.status_code if error.response is not None else None
        if status is None or status >= SERVER_ERROR:
            raise unavailable(operation, "MLflow", error) from error
        raise TerminalError(
            f"{operation} failed: MLflow returned {status}", "see whether its artifacts still exist"
        ) from error
