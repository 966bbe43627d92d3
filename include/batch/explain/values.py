"""Step explain: why each model of a run says what it says, on visits it was not trained on.

Only test rows are looked at, for what is explained as well as for the background: values computed on training rows
would tell more of the trained-on users than a private model's epsilon allows.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from include.batch.context import Context
from include.batch.evaluate import split
from include.batch.explain.attribution import Attribution, boosted, checked, forested, log_odds, permuted, weighed
from include.batch.explain.plots import draw
from include.batch.features import columns, table
from include.batch.models import artifact
from include.batch.models.boost import BoostModel
from include.batch.models.dense import DenseNetwork
from include.batch.models.forest import ForestModel
from include.batch.models.model import Model
from include.batch.parameters import Explain
from include.batch.samples import Floats, Matrix, Rows, Samples
from include.contracts.errors import TerminalError

MODELS, PLOTS, TABLE = "models", "plots", "importance.csv"
EXPLAINED: tuple[str, ...] = ("boost", "forest", "network", "private_network", "logistic")
"""Kinds in the order they are explained; the other two are told by what they are."""
SHOWN = 15


def run(context: Context) -> Mapping[str, object]:
    """Explain every model in `models/`: values, pictures in `plots/`, importance.csv.

    Raises TerminalError where the steps before have not run, or an explanation does not add up.
    """
    test = columns.samples(table.read(context.out)).take(split.load(context.out).temporal.test)
    folders = [folder for kind in EXPLAINED if (folder := context.out / MODELS / kind).is_dir()]
    if not folders:
        raise TerminalError(f"{context.out / MODELS} holds no model to explain", "run the step train first")
    found = []
    for folder in folders:
        attribution = explain(artifact.load(folder), test, context.parameters.explain, context.parameters.seed)
        draw(attribution, context.out / PLOTS)
        context.say(f"explained {folder.name} on {len(attribution.x)} visits, adds up to {attribution.gap:.1e}")
        found.append(attribution)
    _write(context.out / TABLE, importance_table(found))
    return {
        "models": {attribution.kind: _summary(attribution) for attribution in found},
        "table": TABLE,
        "plots": sorted(f"{PLOTS}/{path.name}" for path in (context.out / PLOTS).glob("explain-*.png")),
        "held_out": len(test),
    }


def explain(model: Model, test: Samples, wanted: Explain, seed: int) -> Attribution:
    """The attribution of one model on a seeded sample of held-out visits, checked to add up."""
    rows, background = choose(len(test), wanted, model.kind, seed)
    chosen = test.take(rows)
    if isinstance(model, BoostModel):
        found = boosted(model.booster, chosen.x, test.columns, model.probabilities(chosen))
    elif isinstance(model, ForestModel):
        found = forested(model.forest, chosen.x, test.columns, model.probabilities(chosen))
    elif isinstance(model, DenseNetwork) and len(model.weights) == 1:
        found = _linear(model, chosen, test.z[background])
    else:
        found = permuted(
            model.kind,
            lambda x: _answers(model, x, test.columns),
            chosen.x,
            test.x[background],
            test.columns,
            seed,
        )
    return checked(found)


def choose(held_out: int, wanted: Explain, kind: str, seed: int) -> tuple[Rows, Rows]:
    """Rows to explain, rising, and rows of the background: held out both, and none of them in both."""
    limit = {"boost": wanted.rows, "forest": wanted.forest_rows}.get(kind, wanted.private_rows)
    shuffled = np.random.default_rng([seed, len(kind), *kind.encode()]).permutation(held_out)
    behind = min(wanted.background, held_out // 2)
    background, rest = shuffled[:behind], shuffled[behind:]
    return np.sort(rest[:limit]), np.sort(background)


def importance_table(found: Sequence[Attribution]) -> Iterator[tuple[str, ...]]:
    """Rows of importance.csv: a column, its meaning, and for each model the share of it in all that moves answers."""
    meanings = {column.name: column.meaning for column in columns.COLUMNS}
    shares = {attribution.kind: _shares(attribution) for attribution in found}
    yield ("column", "meaning", *shares)
    mean = np.mean(list(shares.values()), axis=0)
    for index in np.argsort(-mean, kind="stable"):
        name = found[0].columns[index]
        yield (name, meanings.get(name, ""), *(f"{share[index]:.4f}" for share in shares.values()))


def _linear(model: DenseNetwork, chosen: Samples, background: Matrix) -> Attribution:
    """What a column's parts of z contribute, together."""
    weights = model.weights[0][:, 0].astype(np.float64)
    base, terms = weighed(weights, float(model.biases[0][0]), chosen.z, background)
    starts = np.cumsum([0, *(len(column.scaled) for column in columns.COLUMNS)])[:-1]
    values = np.add.reduceat(terms, starts, axis=1)
    answers = log_odds(model.probabilities(chosen))
    return Attribution(model.kind, "log-odds", chosen.x, chosen.columns, base, values, answers)


def _answers(model: Model, x: Matrix, names: tuple[str, ...]) -> Floats:
    rows = np.arange(len(x))
    return model.probabilities(Samples(x, columns.scale(x), np.zeros(len(x), dtype=np.bool_), rows, names))


def _summary(found: Attribution) -> dict[str, object]:
    shares = _shares(found)
    return {
        "unit": found.unit,
        "rows": len(found.x),
        "base": float(found.base.mean()),
        "adds_up_to": found.gap,
        "importance": [
            {"column": found.columns[index], "mean": float(found.importance[index]), "share": float(shares[index])}
            for index in found.order()[:SHOWN]
        ],
    }


def _shares(found: Attribution) -> Floats:
    total = float(found.importance.sum())
    return found.importance / total if total > 0 else np.zeros_like(found.importance)


def _write(path: Path, rows: Iterator[tuple[str, ...]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    partial = path.with_suffix(".partial")
    partial.write_text(text.getvalue())
    partial.replace(path)
