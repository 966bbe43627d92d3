"""Registered names, their versions and aliases."""

from collections.abc import Mapping

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from include.batch.registry.load import CHALLENGER, CHAMPION, FOLDER, aliases
from include.batch.registry.runs import CONTENT, KEY
from include.clients.mlflow import translate_errors

MODEL, PRIVATE_MODEL = "purchase", "purchase-private"
NAMES: dict[str, str] = {
    MODEL: "Will a visit end in a purchase? The best model; not private.",
    PRIVATE_MODEL: "Will a visit end in a purchase? The best model with differential privacy for its users.",
}
"""Registered name -> description."""
ALREADY_EXISTS = "RESOURCE_ALREADY_EXISTS"


def register_challenger(
    client: MlflowClient, name: str, run: Run, description: str, tags: Mapping[str, str]
) -> ModelVersion:
    """Register this run under `name`, or return its existing version; set the alias challenger."""
    with translate_errors(f"register {name}"):
        _ensure_registered(client, name)
        model_version = _find_version(client, name, run.info.run_id)
        if model_version is None:
            model_version = client.create_model_version(
                name,
                source=f"{run.info.artifact_uri}/{FOLDER}",
                run_id=run.info.run_id,
                tags={**tags, CONTENT: run.data.tags[CONTENT]},
                description=description,
            )
        client.set_registered_model_alias(name, CHALLENGER, model_version.version)
        return model_version


def promote(client: MlflowClient, model_version: ModelVersion) -> None:
    """Move the alias champion, at once, to this version."""
    with translate_errors(f"promote {model_version.name} version {model_version.version}"):
        client.set_registered_model_alias(model_version.name, CHAMPION, model_version.version)


def tag_version(client: MlflowClient, model_version: ModelVersion, tags: Mapping[str, str]) -> None:
    """Tag a version."""
    with translate_errors(f"tag {model_version.name} version {model_version.version}"):
        for name, value in tags.items():
            client.set_model_version_tag(model_version.name, model_version.version, name, value)


def cleanup(client: MlflowClient, name: str, key: str, current: ModelVersion) -> int:
    """Delete versions of the same run that `current` supersedes, without an alias; return their number."""
    deleted = 0
    with translate_errors(f"delete replaced versions of {name}"):
        aliased = set(aliases(client, name).values())
        for model_version in client.search_model_versions(f"name = '{name}'"):
            replaced = model_version.tags.get(KEY) == key and str(model_version.version) != str(current.version)
            if replaced and str(model_version.version) not in aliased:
                client.delete_model_version(name, model_version.version)
                deleted += 1
    return deleted


def needed_runs(client: MlflowClient) -> frozenset[str]:
    """Return the ids of the runs whose artefacts a version with an alias uses."""
    with translate_errors("look up the aliases"):
        return frozenset(
            str(client.get_model_version(name, number).run_id)
            for name in NAMES
            for number in aliases(client, name).values()
        )


def _ensure_registered(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name, description=NAMES[name])
    except MlflowException as error:
        if error.error_code != ALREADY_EXISTS:
            raise


def _find_version(client: MlflowClient, name: str, run: str) -> ModelVersion | None:
    versions = [version for version in client.search_model_versions(f"name = '{name}'") if version.run_id == run]
    return versions[0] if versions else None
