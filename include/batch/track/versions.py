"""Registered names, their versions and aliases."""

from collections.abc import Mapping

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from include.batch.track.load import CHALLENGER, CHAMPION, FOLDER, aliases
from include.batch.track.runs import CONTENT, KEY
from include.clients.mlflow import translate_errors

MODEL, PRIVATE_MODEL = "purchase", "purchase-private"
NAMES: dict[str, str] = {
    MODEL: "Will a visit end in a purchase? The best model; not private.",
    PRIVATE_MODEL: "Will a visit end in a purchase? The best model with differential privacy for its users.",
}
"""Registered name -> what stands under it."""
TAKEN = "RESOURCE_ALREADY_EXISTS"


def challenge(client: MlflowClient, name: str, run: Run, description: str, tags: Mapping[str, str]) -> ModelVersion:
    """The version of this run under `name`, new or from before, with the alias challenger."""
    with translate_errors(f"register {name}"):
        _ensure(client, name)
        found = _of_run(client, name, run.info.run_id)
        if found is None:
            found = client.create_model_version(
                name,
                source=f"{run.info.artifact_uri}/{FOLDER}",
                run_id=run.info.run_id,
                tags={**tags, CONTENT: run.data.tags[CONTENT]},
                description=description,
            )
        client.set_registered_model_alias(name, CHALLENGER, found.version)
        return found


def promote(client: MlflowClient, found: ModelVersion) -> None:
    """Move the alias champion, at once, to this version."""
    with translate_errors(f"promote {found.name} version {found.version}"):
        client.set_registered_model_alias(found.name, CHAMPION, found.version)


def tell(client: MlflowClient, found: ModelVersion, tags: Mapping[str, str]) -> None:
    """Tag a version."""
    with translate_errors(f"tag {found.name} version {found.version}"):
        for name, value in tags.items():
            client.set_model_version_tag(found.name, found.version, name, value)


def sweep(client: MlflowClient, name: str, key: str, kept: ModelVersion) -> int:
    """Delete the versions of the same night that `kept` replaced; how many. One that bears an alias stays."""
    swept = 0
    with translate_errors(f"delete replaced versions of {name}"):
        borne = set(aliases(client, name).values())
        for found in client.search_model_versions(f"name = '{name}'"):
            replaced = found.tags.get(KEY) == key and str(found.version) != str(kept.version)
            if replaced and str(found.version) not in borne:
                client.delete_model_version(name, found.version)
                swept += 1
    return swept


def needed_runs(client: MlflowClient) -> frozenset[str]:
    """Runs whose artefacts a version with an alias is made of."""
    with translate_errors("look up the aliases"):
        return frozenset(
            str(client.get_model_version(name, number).run_id)
            for name in NAMES
            for number in aliases(client, name).values()
        )


def _ensure(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name, description=NAMES[name])
    except MlflowException as error:
        if error.error_code != TAKEN:
            raise


def _of_run(client: MlflowClient, name: str, run: str) -> ModelVersion | None:
    found = [version for version in client.search_model_versions(f"name = '{name}'") if version.run_id == run]
    return found[0] if found else None
