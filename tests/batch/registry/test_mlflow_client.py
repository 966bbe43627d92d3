"""Which errors of MLflow's client are transient."""

import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    PERMISSION_DENIED,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
)

from include.clients.mlflow import translate_errors
from include.contracts.errors import ShowroomError, TerminalError, TransientError

CHECK = "check that it runs: ./showroom status"
LOGIN = "see SHOWROOM_MLFLOW_URL and its login"
ARTIFACTS = "see whether its artifacts still exist"


def http_error(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError("failed", response=response)


@pytest.mark.parametrize(
    ("error", "kind", "message", "remedy"),
    [
        (MlflowException("down", INTERNAL_ERROR), TransientError, "MLflow is unavailable (down)", CHECK),
        (MlflowException("busy", TEMPORARILY_UNAVAILABLE), TransientError, "MLflow is unavailable (busy)", CHECK),
        (MlflowException("no run", RESOURCE_DOES_NOT_EXIST), TerminalError, "MLflow refused: no run", LOGIN),
        (MlflowException("no", INVALID_PARAMETER_VALUE), TerminalError, "MLflow refused: no", LOGIN),
        (MlflowException("no", PERMISSION_DENIED), TerminalError, "MLflow refused: no", LOGIN),
        (requests.ConnectionError("refused"), TransientError, "MLflow is unavailable (ConnectionError)", CHECK),
        (requests.Timeout("late"), TransientError, "MLflow is unavailable (Timeout)", CHECK),
        (http_error(500), TransientError, "MLflow is unavailable (HTTPError)", CHECK),
        (http_error(503), TransientError, "MLflow is unavailable (HTTPError)", CHECK),
        (http_error(404), TerminalError, "MLflow returned 404", ARTIFACTS),
    ],
)
def test_translate_errors_returns_kind_and_remedy(
    error: Exception, kind: type[ShowroomError], message: str, remedy: str
) -> None:
    with pytest.raises(kind) as raised, translate_errors("a test"):
        raise error
    assert (raised.value.message, raised.value.remedy) == (f"a test failed: {message}", remedy)
    assert raised.value.__cause__ is error


def test_translate_errors_with_error_of_the_code_passes_it_on() -> None:
    with pytest.raises(KeyError), translate_errors("a test"):
        raise KeyError("a bug")
