"""Step features: build the feature table and its splits from the archived sessions of the window."""

from contextlib import closing

from include.batch.evaluation import splits
from include.batch.evaluation.leakage import assert_no_leaks
from include.batch.features import source
from include.batch.features.build import build
from include.batch.features.columns import DENIED_FIELDS, NAMES, projection, samples
from include.batch.features.table import Table, write
from include.batch.inputs import Inputs, Outputs
from include.batch.parameters import Parameters
from include.contracts.errors import TerminalError


def run(inputs: Inputs, parameters: Parameters) -> Outputs:
    """Build and write the feature table and its splits.

    Returns:
        Counts, base rate, digest of the table, and the parts of both splits.

    Raises:
        TerminalError: the window is empty or has one outcome only, or a column leaks the outcome.
        TransientError: MongoDB is unavailable.
    """
    features = parameters.features
    reading = source.stream(inputs.settings.mongodb, inputs.window, projection(features.reviews), features.chunk)
    with closing(reading):
        table = build(reading, inputs.window, features, inputs.out, inputs.log)
    inputs.log(f"{len(table):,} sessions, {int(table.made.sum()):,} of them with a purchase")
    both = _split(table, inputs, parameters)
    rows = samples(table)
    assert_no_leaks(rows, parameters.evaluation.leak_auc)
    write(table, inputs.out)
    splits.save(both, inputs.out)
    return {
        "window": str(inputs.window),
        "sessions": len(table),
        "users": int(rows.group.max()) + 1,
        "purchases": int(table.made.sum()),
        "base_rate": float(table.made.mean()),
        "columns": len(NAMES),
        "denied": sorted(DENIED_FIELDS),
        "reviews": features.reviews,
        "digest": table.digest,
        "split": {
            name: splits.describe(table, rows.group, part)
            for name, part in (("temporal", both.temporal), ("random", both.random))
        },
    }


def _split(table: Table, inputs: Inputs, parameters: Parameters) -> splits.Splits:
    if table.made.all() or not table.made.any():
        what = "every session ended" if table.made.all() else "no session ended"
        raise TerminalError(f"{what} in a purchase in {inputs.window}", "give a window with both outcomes")
    both = splits.Splits(
        temporal=splits.temporal(table, inputs.window, parameters.split),
        random=splits.random(table, parameters.split, parameters.seed),
    )
    splits.check(table, both.temporal)
    return both
