"""Load registered models from MLflow and verify each file."""

import tempfile
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from include.batch.models import artifact
from include.batch.models.artifact import Manifest
from include.batch.models.model import Model
from include.clients import mlflow
from include.contracts.errors import TerminalError
from include.contracts.settings import MlflowSettings

CHAMPION, CHALLENGER = "champion", "challenger"
FOLDER = "model"
"""Artefact folder that MLflow loads; the model's own folder is its subfolder `artifacts`."""


def champion(settings: MlflowSettings, name: str) -> Model | None:
    """Load the model with the alias champion; None if there is none.

    Raises:
        TransientError: MLflow is unavailable.
        TerminalError: the artefact is missing or corrupt.
    """
    client = mlflow.connect(settings.url)
    model_version = version(client, name, CHAMPION)
    return None if model_version is None else fetch(client, model_version)[0]


def version(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    """Return the version of a registered model with an alias; None if there is none."""
    with mlflow.translate_errors(f"look up {name}"):
        number = aliases(client, name).get(alias)
        return None if number is None else client.get_model_version(name, number)


def aliases(client: MlflowClient, name: str) -> dict[str, str]:
    """Return a mapping of alias to version number; empty if the name is not registered."""
    try:
        return {alias: str(number) for alias, number in client.get_registered_model(name).aliases.items()}
    except MlflowException as error:
        if error.error_code in mlflow.ABSENT:
            return {}
        raise


def fetch(client: MlflowClient, model_version: ModelVersion) -> tuple[Model, Manifest]:
    """Download a version's model.

    Raises:
        TransientError: MLflow is unavailable.
        TerminalError: the artefact is missing or corrupt.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = f"{FOLDER}/artifacts"
        try:
            with mlflow.translate_errors(f"download {model_version.name} version {model_version.version}"):
                local = Path(client.download_artifacts(str(model_version.run_id), path, directory))
        except OSError as error:
            raise _missing_artefact(model_version, str(error)) from error
        folders = [entry for entry in sorted(local.iterdir()) if entry.is_dir()] if local.is_dir() else []
        if len(folders) != 1:
            raise _missing_artefact(model_version, f"{len(folders)} models in {path}")
        return artifact.load(folders[0]), artifact.manifest(folders[0])


def _missing_artefact(model_version: ModelVersion, detail: str) -> TerminalError:
    return TerminalError(
        f"the artefact of {model_version.name} version {model_version.version} is missing ({detail})",
        "restore it in MLflow, or remove the alias from this version",
    )
