"""The experiment of the nightly runs in MLflow."""

from mlflow import MlflowClient

from include.clients.mlflow import translate_errors

EXPERIMENT = "batch_nightly"


def experiment(client: MlflowClient) -> str:
    """Return the id of the nightly runs' experiment; create or restore it where necessary."""
    with translate_errors("open the experiment"):
        existing = client.get_experiment_by_name(EXPERIMENT)
        if existing is None:
            return str(client.create_experiment(EXPERIMENT))
        if existing.lifecycle_stage == "deleted":
            client.restore_experiment(existing.experiment_id)
        return str(existing.experiment_id)
