from pathlib import Path
from typing import Any

import mlflow
import msgspec
import numpy as np
import pytest
from mlflow import MlflowClient

from include.batch.context import Context
from include.batch.features import columns, table
from include.batch.models import artifact
from include.batch.track import load, publish, records, runs, versions
from include.batch.track.night import read
from include.contracts.errors import TerminalError, TransientError
from include.contracts.settings import Settings
from tests.batch.track import night
from tests.batch.track.conftest import Records


def client(settings: Settings) -> MlflowClient:
    return MlflowClient(tracking_uri=settings.mlflow_url, registry_uri=settings.mlflow_url)


def told(context: Context) -> Any:
    """The step's summary, as the command line would write it."""
    return msgspec.json.decode(msgspec.json.encode(publish.run(context)))


def state(settings: Settings) -> tuple[Any, ...]:
    """What a reader sees: runs, versions and aliases of both names."""
    seen = client(settings)
    experiment = seen.get_experiment_by_name("batch_nightly")
    found = seen.search_runs([experiment.experiment_id]) if experiment else []
    return (
        sorted((run.data.tags[runs.KIND], run.info.run_id, run.info.status) for run in found),
        {
            name: sorted(str(v.version) for v in seen.search_model_versions(f"name = '{name}'"))
            for name in versions.NAMES
        },
        {name: load.aliases(seen, name) for name in versions.NAMES},
    )


@pytest.fixture
def first(tmp_path: Path, settings: Settings, kept: Records) -> Context:
    return night.write(night.context(tmp_path / "first", settings))


def test_a_first_night_is_logged_registered_and_promoted(first: Context, settings: Settings, kept: Records) -> None:
    summary = told(first)

    logged, found, aliases = state(settings)
    assert [kind for kind, _, _ in logged] == ["boost", "majority", "one_rule", "private_network"]
    assert {status for _, _, status in logged} == {"FINISHED"}
    assert found == {"purchase": ["1"], "purchase-private": ["1"]}
    assert list(aliases.values()) == [{"champion": "1", "challenger": "1"}] * 2
    assert {name: one["outcome"] for name, one in summary["decisions"].items()} == dict.fromkeys(aliases, "promoted")
    assert summary["epsilon"] == {"night": 0.97, "spent": 1.9, "budget": 8.0}
    assert all(row["address"].startswith(settings.mlflow_url) for row in summary["models"])
    assert [record["confirmed"] for record in kept.values()] == [True, True]


def test_a_logged_model_answers_as_the_fitted_one(first: Context, settings: Settings) -> None:
    publish.run(first)
    fitted = artifact.load(first.out / "models" / "boost")
    samples = columns.samples(table.read(first.out))
    samples.x[0, 3] = np.nan
    champion = load.champion(settings, versions.MODEL)
    assert champion is not None
    assert np.array_equal(champion.probabilities(samples), fitted.probabilities(samples))

    mlflow.set_tracking_uri(settings.mlflow_url)
    served = mlflow.pyfunc.load_model(f"models:/{versions.MODEL}@champion")
    import pandas as pd  # noqa: PLC0415

    frame = pd.DataFrame(samples.x.astype(np.float64), columns=list(columns.NAMES))
    assert np.allclose(served.predict(frame), fitted.probabilities(samples))
    folder = Path(client(settings).download_artifacts(champion_run(settings), "model"))
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle")]


def champion_run(settings: Settings) -> str:
    found = load.version(client(settings), versions.MODEL, load.CHAMPION)
    assert found is not None
    return str(found.run_id)


def test_a_run_says_what_it_is_of_and_how_good(first: Context, settings: Settings) -> None:
    publish.run(first)
    seen = client(settings)
    run = seen.get_run(champion_run(settings))
    card = Path(seen.download_artifacts(run.info.run_id, "card.md")).read_text()
    assert run.data.params["window"] == str(first.window)
    assert run.data.metrics["pr_auc_low"] < run.data.metrics["pr_auc"] < run.data.metrics["pr_auc_high"]
    assert run.data.tags["showroom.privacy"] == "not private"
    assert "epsilon" not in run.data.metrics
    for said in ("not private", str(first.window), "`last_action`", "Base rate", "auc 0.600 (0.550 to 0.640)"):
        assert said in card
    version = load.version(seen, versions.PRIVATE_MODEL, load.CHAMPION)
    assert version is not None
    private = seen.get_run(str(version.run_id))
    assert private.data.metrics["epsilon"] == 0.97
    assert private.data.tags["showroom.dp.sigma"] == "3.2"
    assert "(0.97, 1e-05)-differentially private for one user" in str(version.description)
    assert "not private" not in str(version.description)


def test_the_same_run_again_changes_nothing(first: Context, settings: Settings, kept: Records) -> None:
    summary, before, decided = told(first), state(settings), {key: dict(one) for key, one in kept.items()}
    again = told(first)
    assert state(settings) == before
    assert kept == decided
    assert [one["outcome"] for one in again["decisions"].values()] == ["promoted", "promoted"]
    assert [row["address"] for row in again["models"]] == [row["address"] for row in summary["models"]]


def test_a_rerun_that_says_otherwise_replaces_all_but_the_champion(
    first: Context, settings: Settings, kept: Records
) -> None:
    publish.run(first)
    for trees in (19, 18):
        summary = told(night.write(first, trees=trees))
        assert summary["decisions"]["purchase"]["outcome"] == "kept"
    logged, found, aliases = state(settings)
    assert aliases["purchase"] == {"champion": "1", "challenger": "3"}
    assert found["purchase"] == ["1", "3"]
    assert [kind for kind, _, _ in logged].count("boost") == 2
    assert load.champion(settings, versions.MODEL) is not None


def test_a_better_model_of_a_later_night_becomes_champion(tmp_path: Path, settings: Settings, kept: Records) -> None:
    publish.run(night.write(night.context(tmp_path / "1", settings), trees=1))
    summary = told(night.write(night.context(tmp_path / "2", settings, night.window(7)), trees=60))
    decision = summary["decisions"]["purchase"]
    assert decision["outcome"] == "promoted", decision["reasons"]
    assert (decision["before"]["version"], decision["champion"]["version"]) == ("1", "2")
    # The same private network again is the champion already.
    assert summary["decisions"]["purchase-private"]["reasons"] == ["the challenger is the champion already"]


@pytest.mark.parametrize("case", ["canary", "refused", "trained_past", "corrupt"])
def test_the_champion_stays(case: str, first: Context, tmp_path: Path, settings: Settings, kept: Records) -> None:
    publish.run(first)
    later = night.context(tmp_path / "later", settings, night.window(-3 if case == "trained_past" else 7))
    night.write(
        later,
        trees=80,
        canary=0.7 if case == "canary" else 0.5,
        refused="the privacy budget is spent" if case == "refused" else "",
    )
    if case == "corrupt":
        ruin(settings)
    name = versions.PRIVATE_MODEL if case == "refused" else versions.MODEL
    decision = told(later)["decisions"][name]
    assert decision["outcome"] == "kept"
    expected = {
        "canary": "canary", "refused": "budget is spent", "trained_past": "was trained on visits",
        "corrupt": "cannot be loaded",
    }  # fmt: skip
    assert any(expected[case] in reason for reason in decision["reasons"]), decision["reasons"]
    assert state(settings)[2][name]["champion"] == "1"
    record = kept[records.identity(name, read(later).key)]
    assert (record["decision"], record["confirmed"]) == ("kept", True)


def ruin(settings: Settings) -> None:
    """Alter one byte of the champion's booster where MLflow keeps it."""
    run = client(settings).get_run(champion_run(settings))
    path = Path(run.info.artifact_uri.removeprefix("file://")) / "model/artifacts/boost/boost.ubj"
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    path.write_bytes(bytes(changed))


def test_a_corrupt_or_missing_champion_is_named(first: Context, settings: Settings) -> None:
    assert load.champion(settings, versions.MODEL) is None
    publish.run(first)
    ruin(settings)
    with pytest.raises(TerminalError, match=r"boost\.ubj is not the file that was written"):
        load.champion(settings, versions.MODEL)
    run = client(settings).get_run(champion_run(settings))
    path = Path(run.info.artifact_uri.removeprefix("file://")) / "model"
    path.rename(path.with_name("gone"))
    with pytest.raises(TerminalError, match="purchase version 1"):
        load.champion(settings, versions.MODEL)


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
    (versions, "sweep"),
    (runs, "sweep"),
)


class Crash(BaseException):
    """The process dies."""


def test_a_crash_anywhere_leaves_a_champion_and_a_rerun_finishes(
    tmp_path: Path, settings: Settings, kept: Records
) -> None:
    publish.run(night.write(night.context(tmp_path / "1", settings), trees=1))
    later = night.write(night.context(tmp_path / "2", settings, night.window(7)), trees=60)
    for place, name in CRASHES:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(place, name, dying(getattr(place, name)))
            with pytest.raises(Crash):
                publish.run(later)
        found = load.version(client(settings), versions.MODEL, load.CHAMPION)
        assert found is not None, name
        moved = CRASHES.index((place, name)) >= CRASHES.index((versions, "promote"))
        assert str(found.version) == ("2" if moved else "1"), name
        if moved:
            assert kept[records.identity("purchase", read(later).key)]["decision"] == "promoted", name
    assert told(later)["decisions"]["purchase"]["outcome"] == "promoted"
    logged, found_versions, aliases = state(settings)
    assert aliases["purchase"] == {"champion": "2", "challenger": "2"}
    assert found_versions["purchase"] == ["1", "2"]
    assert {status for _, _, status in logged} == {"FINISHED"}
    assert len(logged) == 8
    assert all(record["confirmed"] for record in kept.values())


def dying(act: Any) -> Any:
    def die(*arguments: Any, **named: Any) -> None:
        act(*arguments, **named)
        raise Crash

    return die


def test_a_run_that_lacks_a_step_says_which(first: Context) -> None:
    (first.out / "privacy.json").unlink()
    with pytest.raises(TerminalError, match="run the step privacy first"):
        publish.run(first)


def test_mongodb_away_leaves_no_champion(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "CONNECT_MS", 200)
    with pytest.raises(TransientError, match="MongoDB is unavailable"):
        publish.run(night.write(night.context(tmp_path / "1", settings)))
    assert state(settings)[2] == {"purchase": {"challenger": "1"}, "purchase-private": {}}
