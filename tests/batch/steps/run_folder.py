"""Run folder of a small run, as written by the steps before promote."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import xgboost

from include.batch import parameters
from include.batch.evaluation import splits
from include.batch.evaluation.bootstrap import intervals
from include.batch.evaluation.metrics import score
from include.batch.features import columns, table
from include.batch.inputs import Inputs
from include.batch.models import artifact
from include.batch.models.baselines import Majority, OneRule, Rule
from include.batch.models.boost import BoostModel
from include.batch.models.dense import DenseNetwork
from include.batch.models.model import Model
from include.batch.samples import Samples
from include.batch.window import Window
from include.contracts.settings import Settings

START = datetime(2026, 11, 9, tzinfo=UTC)
ROWS = 900
PARAMETERS = msgspec.structs.replace(
    parameters.load(),
    evaluation=msgspec.structs.replace(parameters.load().evaluation, draws=20),
    promotion=msgspec.structs.replace(parameters.load().promotion, max_calibration_error=0.5),
)
MECHANISM = {
    "sigma": 3.2, "clip": 1.0, "rate": 0.1, "steps": 60, "delta": 1e-5, "users": 400, "unit": "user",
    "adjacency": "add or remove one user", "sampling": "poisson", "accountant": "PLD",
}  # fmt: skip


def window(day: int = 0) -> Window:
    return Window(START + timedelta(days=day), START + timedelta(days=day + 14))


def inputs(out: Path, settings: Settings, run_window: Window | None = None) -> Inputs:
    return Inputs(run_window or window(), out, settings, log=lambda line: None)


def write(step: Inputs, *, trees: int = 20, refused: str = "", shuffled_auc: float = 0.5) -> Inputs:
    """Fill the folder: boost improves with `trees`; the private network is better than the baselines only."""
    step.out.mkdir(parents=True, exist_ok=True)
    features, rows = _data(step)
    samples = columns.samples(features)
    train, test, validation = (samples.take(part) for part in (rows.train, rows.test, rows.validation))
    models: dict[str, Model] = {
        "majority": Majority(float(train.y.mean())),
        "one_rule": OneRule(Rule("weekend", columns.NAMES.index("weekend"), 0.5, False, 0.3, 0.31)),
        "boost": _boost(train, trees),
    }
    evaluations: dict[str, Any] = {}
    digests = {kind: _store(step, kind, model, test, validation) for kind, model in models.items()}
    for kind, model in models.items():
        evaluations[kind] = _evaluate(model, test, validation, step)
    evaluations["boost"]["shuffled_label_check"] = {
        "roc_auc": {
            "value": shuffled_auc,
            "low": shuffled_auc - 0.05,
            "high": shuffled_auc + 0.05,
        },
        "ok": True,
    }
    private = _private(samples)
    if not refused:
        _store(step, "private_network", private, test, validation)
    _json(step.out / "train.json", {
        "data": features.digest, "rows": {"train": len(train), "validation": len(validation), "test": len(test)},
        "models": evaluations, "digests": digests, "above_oracle_auc": [], "best": "boost",
    })  # fmt: skip
    _json(step.out / "privacy.json", {
        "kind": "private_network", "refused": refused or None, "mechanism": MECHANISM, "epsilon": 0.97, "spent": 1.9,
        "budget": 8.0, "scores": None if refused else _evaluate(private, test, validation, step),
        "attack": {"boost": {"auc": {"value": 0.6, "low": 0.55, "high": 0.64}, "advantage": 0.2}},
    })  # fmt: skip
    _json(step.out / "explain.json", {"models": {}})
    return step


def _data(step: Inputs) -> tuple[table.Table, splits.Split]:
    random = np.random.default_rng(8)
    x = random.random((ROWS, len(columns.NAMES))).astype(np.float32)
    logit = 6 * x[:, 0] - 3 + 3 * (x[:, 1] - 0.5)
    made = random.random(ROWS) < 1 / (1 + np.exp(-logit))
    users = np.array([f"u{number:03d}" for number in random.integers(0, 400, ROWS)], dtype=object)
    first = int(step.window.start.timestamp() * 1e6)
    features = table.Table(
        session_id=np.array([f"s{number:05d}" for number in range(ROWS)], dtype=object),
        user_id=users,
        started_us=first + np.arange(ROWS, dtype=np.int64) * (14 * 86_400_000_000 // ROWS),
        made=made,
        x=x,
        columns=columns.NAMES,
    )
    table.write(features, step.out)
    rows = splits.temporal(features, step.window, PARAMETERS.split)
    splits.save(splits.Splits(rows, rows), step.out)
    return features, rows


def _boost(train: Samples, trees: int) -> BoostModel:
    settings = {"objective": "binary:logistic", "max_depth": 3, "eta": 0.2, "nthread": 2, "seed": 1}
    return BoostModel(xgboost.train(settings, xgboost.QuantileDMatrix(train.x, train.y), trees))


def _private(samples: Samples) -> DenseNetwork:
    weight = np.zeros((samples.z.shape[1], 1), dtype=np.float32)
    weight[0] = 5.0
    return DenseNetwork((weight,), (np.full(1, 24.0, dtype=np.float32),), private=True)


def _store(step: Inputs, kind: str, model: Model, test: Samples, validation: Samples) -> str:
    (step.out / "predictions").mkdir(exist_ok=True)
    np.savez(
        step.out / "predictions" / f"{kind}.npz",
        test=model.probabilities(test),
        validation=model.probabilities(validation),
    )
    return artifact.save(model, step.out / "models" / kind, columns.NAMES)


def _evaluate(model: Model, test: Samples, validation: Samples, step: Inputs) -> dict[str, Any]:
    p = model.probabilities(test)
    result = score(test.y, p, 0.5)
    bounds = intervals(test.y, p, test.group, 20, 0.95, 1)
    return {
        "kind": model.kind, "private": model.private, "scores": msgspec.to_builtins(result),
        "intervals": msgspec.to_builtins(bounds), "shuffled_label_check": None, "seconds": 0.1,
        "validation": msgspec.to_builtins(score(validation.y, model.probabilities(validation), 0.5)),
        "random": msgspec.to_builtins(result),
    }  # fmt: skip


def _json(path: Path, value: object) -> None:
    path.write_bytes(msgspec.json.encode(value))
