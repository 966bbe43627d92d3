"""The folder of a small run, as the steps before promote leave it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import xgboost

from include.batch import parameters
from include.batch.context import Context
from include.batch.evaluate import split
from include.batch.evaluate.bootstrap import intervals
from include.batch.evaluate.metrics import score
from include.batch.features import columns, table
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
    evaluate=msgspec.structs.replace(parameters.load().evaluate, draws=20),
    promotion=msgspec.structs.replace(parameters.load().promotion, max_calibration_error=0.5),
)
MECHANISM = {
    "sigma": 3.2, "clip": 1.0, "rate": 0.1, "steps": 60, "delta": 1e-5, "users": 400, "unit": "user",
    "adjacency": "add or remove one user", "sampling": "poisson", "accountant": "PLD",
}  # fmt: skip


def window(day: int = 0) -> Window:
    return Window(START + timedelta(days=day), START + timedelta(days=day + 14))


def context(out: Path, settings: Settings, night: Window | None = None, **parameter: Any) -> Context:
    wanted = msgspec.structs.replace(PARAMETERS, **parameter)
    return Context(night or window(), out, wanted, settings, say=lambda line: None)


def write(wanted: Context, *, trees: int = 20, refused: str = "", canary: float = 0.5) -> Context:
    """Fill the folder: boost grows better with `trees`; the private network is weak but no baseline."""
    wanted.out.mkdir(parents=True, exist_ok=True)
    seen, rows = _data(wanted)
    samples = columns.samples(seen)
    train, test, inner = (samples.take(part) for part in (rows.train, rows.test, rows.inner))
    models: dict[str, Model] = {
        "majority": Majority(float(train.y.mean())),
        "one_rule": OneRule(Rule("weekend", columns.NAMES.index("weekend"), 0.5, False, 0.3, 0.31)),
        "boost": _boost(train, trees),
    }
    fits: dict[str, Any] = {}
    digests = {kind: _keep(wanted, kind, model, test, inner) for kind, model in models.items()}
    for kind, model in models.items():
        fits[kind] = _judged(model, test, inner, wanted)
    fits["boost"]["canary"] = {"roc_auc": {"value": canary, "low": canary - 0.05, "high": canary + 0.05}, "ok": True}
    private = _private(samples)
    if not refused:
        _keep(wanted, "private_network", private, test, inner)
    _json(wanted.out / "train.json", {
        "data": seen.digest, "rows": {"train": len(train), "inner": len(inner), "test": len(test)},
        "models": fits, "digests": digests, "above_ceiling": [], "best": "boost",
    })  # fmt: skip
    _json(wanted.out / "privacy.json", {
        "kind": "private_network", "refused": refused or None, "mechanism": MECHANISM, "epsilon": 0.97, "spent": 1.9,
        "budget": 8.0, "scores": None if refused else _judged(private, test, inner, wanted),
        "attack": {"boost": {"auc": {"value": 0.6, "low": 0.55, "high": 0.64}, "advantage": 0.2}},
    })  # fmt: skip
    _json(wanted.out / "explain.json", {"models": {}})
    return wanted


def _data(wanted: Context) -> tuple[table.Table, split.Split]:
    random = np.random.default_rng(8)
    x = random.random((ROWS, len(columns.NAMES))).astype(np.float32)
    logit = 6 * x[:, 0] - 3 + 3 * (x[:, 1] - 0.5)
    made = random.random(ROWS) < 1 / (1 + np.exp(-logit))
    users = np.array([f"u{number:03d}" for number in random.integers(0, 400, ROWS)], dtype=object)
    first = int(wanted.window.start.timestamp() * 1e6)
    seen = table.Table(
        session_id=np.array([f"s{number:05d}" for number in range(ROWS)], dtype=object),
        user_id=users,
        started_us=first + np.arange(ROWS, dtype=np.int64) * (14 * 86_400_000_000 // ROWS),
        made=made,
        x=x,
        columns=columns.NAMES,
    )
    table.write(seen, wanted.out)
    rows = split.temporal(seen, wanted.window, wanted.parameters.split)
    split.save(split.Splits(rows, rows), wanted.out)
    return seen, rows


def _boost(train: Samples, trees: int) -> BoostModel:
    settings = {"objective": "binary:logistic", "max_depth": 3, "eta": 0.2, "nthread": 2, "seed": 1}
    return BoostModel(xgboost.train(settings, xgboost.QuantileDMatrix(train.x, train.y), trees))


def _private(samples: Samples) -> DenseNetwork:
    weight = np.zeros((samples.z.shape[1], 1), dtype=np.float32)
    weight[0] = 5.0
    return DenseNetwork((weight,), (np.full(1, 24.0, dtype=np.float32),), private=True)


def _keep(wanted: Context, kind: str, model: Model, test: Samples, inner: Samples) -> str:
    (wanted.out / "predictions").mkdir(exist_ok=True)
    np.savez(
        wanted.out / "predictions" / f"{kind}.npz", test=model.probabilities(test), inner=model.probabilities(inner)
    )
    return artifact.save(model, wanted.out / "models" / kind, columns.NAMES)


def _judged(model: Model, test: Samples, inner: Samples, wanted: Context) -> dict[str, Any]:
    p = model.probabilities(test)
    found = score(test.y, p, 0.5)
    limits = intervals(test.y, p, test.group, 20, 0.95, 1)
    return {
        "kind": model.kind, "private": model.private, "scores": msgspec.to_builtins(found),
        "intervals": msgspec.to_builtins(limits), "canary": None, "seconds": 0.1,
        "inner": msgspec.to_builtins(score(inner.y, model.probabilities(inner), 0.5)),
        "random": msgspec.to_builtins(found),
    }  # fmt: skip


def _json(path: Path, value: object) -> None:
    path.write_bytes(msgspec.json.encode(value))
