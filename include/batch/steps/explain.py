"""Step explain: Shapley values of each model's predictions on the temporal holdout.

Explained rows and background rows are test rows only: values computed on training rows would reveal more of the
training users than the epsilon of a private model allows.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from include.batch.evaluation import splits
from include.batch.explain.explainer import EXPLAINED_KINDS, explain, importance_table, summarize
from include.batch.explain.plots import draw
from include.batch.features import columns, table
from include.batch.inputs import Inputs, Outputs
from include.batch.models import artifact
from include.batch.parameters import Parameters
from include.batch.run_folder import IMPORTANCE, MODELS, PLOTS
from include.contracts.errors import TerminalError


def run(inputs: Inputs, parameters: Parameters) -> Outputs:
    """Explain every model in `models/`; write plots into `plots/` and importance.csv.

    Raises:
        TerminalError: an earlier step has not run, or an explanation does not add up to the prediction.
    """
    test = columns.samples(table.read(inputs.out)).take(splits.load(inputs.out).temporal.test)
    folders = [folder for kind in EXPLAINED_KINDS if (folder := inputs.out / MODELS / kind).is_dir()]
    if not folders:
        raise TerminalError(f"{inputs.out / MODELS} contains no model to explain", "run the step train first")
    attributions = []
    for folder in folders:
        attribution = explain(artifact.load(folder), test, parameters.explain, parameters.seed)
        draw(attribution, inputs.out / PLOTS)
        inputs.log(f"explained {folder.name} on {len(attribution.x)} visits, adds up to {attribution.gap:.1e}")
        attributions.append(attribution)
    _write(inputs.out / IMPORTANCE, importance_table(attributions))
    return {
        "models": {attribution.kind: summarize(attribution) for attribution in attributions},
        "table": IMPORTANCE,
        "plots": sorted(f"{PLOTS}/{path.name}" for path in (inputs.out / PLOTS).glob("explain-*.png")),
        "held_out": len(test),
    }


def _write(path: Path, rows: Iterator[tuple[str, ...]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    partial = path.with_suffix(".partial")
    partial.write_text(text.getvalue())
    partial.replace(path)
