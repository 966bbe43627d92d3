from pathlib import Path
from typing import Any

import mlflow
import msgspec
import numpy as np
import pytest
from mlflow import MlflowClient

from include.batch.features import columns, table
from include.batch.inputs import Inputs
from include.batch.models import artifact
from include.batch.registry import load, records, runs, versions
from include.batch.registry.run_results import read
from include.batch.steps import promote
from include.contracts.errors import TerminalError, TransientError
from include.contracts.settings import Settings
from tests.batch.steps import run_folder
from tests.batch.steps.conftest import Records
from tests.batch.steps.run_folder import PARAMETERS


def client(settings: Settings) -> MlflowClient:
    return MlflowClient(tracking_uri=settings.mlflow.url, registry_uri=settings.mlflow.url)


def run_step(inputs: Inputs) -> Any:
    """Return the step's summary, decoded from JSON."""
    return msgspec.json.decode(msgspec.json.encode(promote.run(inputs, PARAMETERS)))


def state(settings: Settings) -> tuple[Any, ...]:
    """Return the state that a reader sees: runs, versions and aliases of both names."""
    mlflow_client = client(settings)
    experiment = mlflow_client.get_experiment_by_name("batch_nightly")
    result = mlflow_client.search_runs([experiment.experiment_id]) if experiment else []
    return (
        sorted((run.data.tags[runs.KIND], run.info.run_id, run.info.status) for run in result),
        {
            name: sorted(str(v.version) for v in mlflow_client.search_model_versions(f"name = '{name}'"))
            for name in versions.NAMES
        },
        {name: load.aliases(mlflow_client, name) for name in versions.NAMES},
    )


@pytest.fixture
def first(tmp_path: Path, settings: Settings, decisions: Records) -> Inputs:
    return run_folder.write(run_folder.inputs(tmp_path / "first", settings))


def test_first_run_logs_registers_and_promotes(first: Inputs, settings: Settings, decisions: Records) -> None:
    summary = run_step(first)

    logged, result, aliases = state(settings)
    assert [kind for kind, _, _ in logged] == ["boost", "majority", "one_rule", "private_network"]
    assert {status for _, _, status in logged} == {"FINISHED"}
    assert result == {"purchase": ["1"], "purchase-private": ["1"]}
    assert list(aliases.values()) == [{"champion": "1", "challenger": "1"}] * 2
    assert {name: one["outcome"] for name, one in summary["decisions"].items()} == dict.fromkeys(aliases, "promoted")
    assert summary["epsilon"] == {"run": 0.97, "spent": 1.9, "budget": 8.0}
    assert all(row["address"].startswith(settings.mlflow.url) for row in summary["models"])
    assert [record["confirmed"] for record in decisions.values()] == [True, True]


def test_logged_model_predicts_as_the_fitted_one(first: Inputs, settings: Settings) -> None:
    promote.run(first, PARAMETERS)
    fitted = artifact.load(first.out / "models" / "boost")
    samples = columns.samples(table.read(first.out))
    samples.x[0, 3] = np.nan
    champion = load.champion(settings.mlflow, versions.MODEL)
    assert champion is not None
    assert np.array_equal(champion.probabilities(samples), fitted.probabilities(samples))

    mlflow.set_tracking_uri(settings.mlflow.url)
    served = mlflow.pyfunc.load_model(f"models:/{versions.MODEL}@champion")
    import pandas as pd  # noqa: PLC0415

    frame = pd.DataFrame(samples.x.astype(np.float64), columns=list(columns.NAMES))
    assert np.allclose(served.predict(frame), fitted.probabilities(samples))
    folder = Path(client(settings).download_artifacts(champion_run(settings), "model"))
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle")]


def champion_run(settings: Settings) -> str:
    result = load.version(client(settings), versions.MODEL, load.CHAMPION)
    assert result is not None
    return str(result.run_id)


def test_logged_run_has_parameters_metrics_and_card(first: Inputs, settings: Settings) -> None:
    promote.run(first, PARAMETERS)
    mlflow_client = client(settings)
    run = mlflow_client.get_run(champion_run(settings))
    card = Path(mlflow_client.download_artifacts(run.info.run_id, "card.md")).read_text()
    assert run.data.params["window"] == str(first.window)
    assert run.data.metrics["pr_auc_low"] < run.data.metrics["pr_auc"] < run.data.metrics["pr_auc_high"]
    assert run.data.tags["showroom.privacy"] == "not private"
    assert "epsilon" not in run.data.metrics
    for output in ("not private", str(first.window), "`last_action`", "Base rate", "auc 0.600 (0.550 to 0.640)"):
        assert output in card
    version = load.version(mlflow_client, versions.PRIVATE_MODEL, load.CHAMPION)
    assert version is not None
    private = mlflow_client.get_run(str(version.run_id))
    assert private.data.metrics["epsilon"] == 0.97
    assert private.data.tags["showroom.dp.sigma"] == "3.2"
    assert "(0.97, 1e-05)-differentially private for one user" in str(version.description)
    assert "not private" not in str(version.description)


def test_rerun_is_idempotent(first: Inputs, settings: Settings, decisions: Records) -> None:
    summary, before, stored = run_step(first), state(settings), {key: dict(one) for key, one in decisions.items()}
    again = run_step(first)
    assert state(settings) == before
    assert decisions == stored
    assert [one["outcome"] for one in again["decisions"].values()] == ["promoted", "promoted"]
    assert [row["address"] for row in again["models"]] == [row["address"] for row in summary["models"]]


def test_rerun_with_other_results_replaces_all_but_the_champion(
    first: Inputs, settings: Settings, decisions: Records
) -> None:
    promote.run(first, PARAMETERS)
    for trees in (19, 18):
        summary = run_step(run_folder.write(first, trees=trees))
        assert summary["decisions"]["purchase"]["outcome"] == "kept"
    logged, result, aliases = state(settings)
    assert aliases["purchase"] == {"champion": "1", "challenger": "3"}
    assert result["purchase"] == ["1", "3"]
    assert [kind for kind, _, _ in logged].count("boost") == 2
    assert load.champion(settings.mlflow, versions.MODEL) is not None


def test_better_model_of_a_later_run_becomes_champion(tmp_path: Path, settings: Settings, decisions: Records) -> None:
    promote.run(run_folder.write(run_folder.inputs(tmp_path / "1", settings), trees=1), PARAMETERS)
    summary = run_step(run_folder.write(run_folder.inputs(tmp_path / "2", settings, run_folder.window(7)), trees=60))
    decision = summary["decisions"]["purchase"]
    assert decision["outcome"] == "promoted", decision["reasons"]
    assert (decision["before"]["version"], decision["champion"]["version"]) == ("1", "2")
    # The same private network is already champion.
    assert summary["decisions"]["purchase-private"]["reasons"] == ["the challenger is the champion already"]


@pytest.mark.parametrize("case", ["shuffled_labels", "refused", "trained_past", "corrupt"])
def test_champion_is_retained(case: str, first: Inputs, tmp_path: Path, settings: Settings, decisions: Records) -> None:
    promote.run(first, PARAMETERS)
    later = run_folder.inputs(tmp_path / "later", settings, run_folder.window(-3 if case == "trained_past" else 7))
    run_folder.write(
        later,
        trees=80,
        shuffled_auc=0.7 if case == "shuffled_labels" else 0.5,
        refused="the privacy budget is spent" if case == "refused" else "",
    )
    if case == "corrupt":
        corrupt_champion(settings)
    name = versions.PRIVATE_MODEL if case == "refused" else versions.MODEL
    decision = run_step(later)["decisions"][name]
    assert decision["outcome"] == "kept"
    expected = {
        "shuffled_labels": "shuffled-label check",
        "refused": "budget is spent",
        "trained_past": "was trained on visits",
        "corrupt": "cannot be loaded",
    }
    assert any(expected[case] in reason for reason in decision["reasons"]), decision["reasons"]
    assert state(settings)[2][name]["champion"] == "1"
    record = decisions[records.decision_id(name, read(later, PARAMETERS).key)]
    assert (record["decision"], record["confirmed"]) == ("kept", True)


def corrupt_champion(settings: Settings) -> None:
    """Flip one bit of the champion's booster in MLflow's artefacts."""
    run = client(settings).get_run(champion_run(settings))
    path = Path(run.info.artifact_uri.removeprefix("file://")) / "model/artifacts/boost/boost.ubj"
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    path.write_bytes(bytes(changed))


def test_load_of_a_corrupt_or_missing_champion_raises(first: Inputs, settings: Settings) -> None:
    assert load.champion(settings.mlflow, versions.MODEL) is None
    promote.run(first, PARAMETERS)
    corrupt_champion(settings)
    with pytest.raises(TerminalError, match=r"boost\.ubj was altered"):
        load.champion(settings.mlflow, versions.MODEL)
    run = client(settings).get_run(champion_run(settings))
    path = Path(run.info.artifact_uri.removeprefix("file://")) / "model"
    path.rename(path.with_name("renamed"))
    with pytest.raises(TerminalError, match="purchase version 1"):
        load.champion(settings.mlflow, versions.MODEL)


CRASHES = (
    (MlflowClient, "create_run"),
    (MlflowClient, "log_batch"),
    (MlflowClient, "log_artifacts"),
    (MlflowClient, "set_terminated"),
    (MlflowClient, "create_model_version"),
    (MlflowClient, "set_registered_model_alias"),
    (MlflowClient, "set_model_version_tag"),
    (records, "store"),
    (versions, "promote"),
    (records, "confirm"),
    (versions, "cleanup"),
    (runs, "cleanup"),
)


class Crash(BaseException):
    """A simulated crash of the process."""


def test_crash_leaves_a_champion_and_a_rerun_completes(tmp_path: Path, settings: Settings, decisions: Records) -> None:
    promote.run(run_folder.write(run_folder.inputs(tmp_path / "1", settings), trees=1), PARAMETERS)
    later = run_folder.write(run_folder.inputs(tmp_path / "2", settings, run_folder.window(7)), trees=60)
    for target, name in CRASHES:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(target, name, crash_after(getattr(target, name)))
            with pytest.raises(Crash):
                promote.run(later, PARAMETERS)
        result = load.version(client(settings), versions.MODEL, load.CHAMPION)
        assert result is not None, name
        is_promoted = CRASHES.index((target, name)) >= CRASHES.index((versions, "promote"))
        assert str(result.version) == ("2" if is_promoted else "1"), name
        if is_promoted:
            assert decisions[records.decision_id("purchase", read(later, PARAMETERS).key)]["decision"] == "promoted", (
                name
            )
    assert run_step(later)["decisions"]["purchase"]["outcome"] == "promoted"
    logged, version_numbers, aliases = state(settings)
    assert aliases["purchase"] == {"champion": "2", "challenger": "2"}
    assert version_numbers["purchase"] == ["1", "2"]
    assert {status for _, _, status in logged} == {"FINISHED"}
    assert len(logged) == 8
    assert all(record["confirmed"] for record in decisions.values())


def crash_after(function: Any) -> Any:
    def call_then_crash(*arguments: Any, **options: Any) -> None:
        function(*arguments, **options)
        raise Crash

    return call_then_crash


def test_run_without_an_earlier_step_names_it(first: Inputs) -> None:
    (first.out / "privacy.json").unlink()
    with pytest.raises(TerminalError, match="run the step privacy first"):
        promote.run(first, PARAMETERS)


def test_run_without_mongodb_promotes_nothing(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "CONNECT_MS", 200)
    with pytest.raises(TransientError, match="MongoDB is unavailable"):
        promote.run(run_folder.write(run_folder.inputs(tmp_path / "1", settings)), PARAMETERS)
    assert state(settings)[2] == {"purchase": {"challenger": "1"}, "purchase-private": {}}
