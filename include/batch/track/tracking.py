"""The experiment of the nightly runs in MLflow."""

from mlflow import MlflowClient

from include.clients.mlflow import translate_errors

EXPERIMENT = "batch_nightly"


def experiment(client: MlflowClient) -> str:
    """The id of the nightly runs' experiment, made where it is missing and brought back where it was deleted."""
    with translate_errors("open the experiment"):
        found = client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            return str(client.create_experiment(EXPERIMENT))
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)
