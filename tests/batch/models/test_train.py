"""The step train: what it leaves in the run's folder, and that it comes out alike each time."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from include.batch import parameters
from include.batch.context import Context
from include.batch.evaluate import split
from include.batch.evaluate.split import Split, Splits
from include.batch.evaluate.trial import Judged, best, best_baseline
from include.batch.features import columns, table
from include.batch.models import artifact, train
from include.batch.models.model import BASELINES
from include.batch.window import Window
from include.contracts.errors import SettingsError
from include.contracts.settings import Settings
from tests.batch.made_up import MODELS, samples

ROWS = 3000
DATA = dataclasses.replace(samples(ROWS, 1), group=np.arange(ROWS) // 3)
ORDER = np.random.default_rng(2).permutation(ROWS)
SPLITS = Splits(
    temporal=Split(np.arange(1500), np.arange(1500, 2001), np.arange(2001, ROWS)),
    random=Split(np.sort(ORDER[:1800]), np.sort(ORDER[1800:2100]), np.sort(ORDER[2100:])),
)
KINDS = ("majority", "logistic", "boost")


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(table, "read", lambda _: SimpleNamespace(digest="d" * 64))
    monkeypatch.setattr(columns, "samples", lambda _: DATA)
    monkeypatch.setattr(split, "load", lambda _: SPLITS)
    wanted = parameters.load()
    return Context(
        window=Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 15, tzinfo=UTC)),
        out=tmp_path,
        parameters=msgspec.structs.replace(
            wanted, models=MODELS, evaluate=msgspec.structs.replace(wanted.evaluate, draws=60)
        ),
        settings=Settings.from_env({}),
        say=lambda _: None,
        ceiling=0.99,
        only=KINDS,
    )


def told(context: Context) -> dict[str, Any]:
    """The summary as it is read back."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(train.run(context)))
    return found


def test_it_keeps_models_predictions_and_plots(context: Context) -> None:
    summary = told(context)
    assert list(summary["models"]) == list(KINDS)
    assert summary["best"] == "logistic"
    assert summary["best_baseline"] in BASELINES
    assert summary["above_ceiling"] == []
    assert summary["rows"] == {"train": 1500, "inner": 501, "test": 999}
    test = DATA.take(SPLITS.temporal.test)
    for kind in KINDS:
        loaded = artifact.load(context.out / "models" / kind)
        with np.load(context.out / "predictions" / f"{kind}.npz") as kept:
            assert np.array_equal(kept["test"], loaded.probabilities(test))
            assert len(kept["inner"]) == 501
        assert summary["digests"][kind] == artifact.manifest(context.out / "models" / kind).digest
    for name in summary["plots"]:
        assert (context.out / name).read_bytes().startswith(b"\x89PNG")
    assert not list(context.out.rglob("*.partial"))


def test_each_kind_is_judged_with_intervals_and_its_canary(context: Context) -> None:
    judged = told(context)["models"]
    boost = msgspec.convert(judged["boost"], Judged)
    assert boost.intervals["roc_auc"].low < boost.scores.roc_auc < boost.intervals["roc_auc"].high
    assert boost.canary is not None
    assert boost.canary.ok
    assert judged["majority"]["canary"] is None
    assert judged["majority"]["scores"]["f1"] == 0.0
    assert boost.random.rows == 900


def test_it_is_the_same_each_time(context: Context) -> None:
    first, again = told(context), told(context)
    for summary in (first, again):
        for row in [*summary["models"].values(), *summary["table"]]:
            row.pop("seconds")
    assert first == again


def test_the_threshold_comes_from_the_inner_part(context: Context) -> None:
    found = msgspec.convert(told(context)["models"]["boost"], Judged)
    inner = DATA.take(SPLITS.temporal.inner)
    with np.load(context.out / "predictions" / "boost.npz") as kept:
        assert np.mean(kept["inner"] >= found.scores.threshold) == pytest.approx(inner.y.mean(), abs=0.01)


def test_too_good_to_be_true_is_told(context: Context) -> None:
    assert told(dataclasses.replace(context, ceiling=0.6))["above_ceiling"] == ["logistic", "boost"]


def test_what_is_not_fitted_now_does_not_stay(context: Context) -> None:
    told(context)
    told(dataclasses.replace(context, only=("majority",)))
    assert [path.name for path in (context.out / "models").iterdir()] == ["majority"]
    assert [path.name for path in (context.out / "predictions").iterdir()] == ["majority.npz"]


def test_an_unknown_kind_is_refused(context: Context) -> None:
    with pytest.raises(SettingsError, match="oracle"):
        train.run(dataclasses.replace(context, only=("oracle",)))


def test_the_best_is_chosen_on_the_inner_part_and_is_no_baseline(context: Context) -> None:
    judged = {kind: msgspec.convert(value, Judged) for kind, value in told(context)["models"].items()}
    boost = judged["boost"]
    praised = msgspec.structs.replace(boost, scores=msgspec.structs.replace(boost.scores, pr_auc=1.0))
    worse = msgspec.structs.replace(praised, inner=msgspec.structs.replace(boost.inner, pr_auc=0.1))
    assert best({**judged, "forest": worse}, "pr_auc") == "logistic"
    assert best({"majority": judged["majority"], "forest": worse}, "pr_auc") == "forest"
    assert best({"logistic": judged["logistic"], "forest": worse}, "pr_auc") == "logistic"
    assert best({"majority": judged["majority"]}, "pr_auc") == "majority"
    assert best_baseline({"boost": boost}, "pr_auc") is None
