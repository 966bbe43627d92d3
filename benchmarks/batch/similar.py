"""Similar users: the array implementation, datasketch and brute force on synthetic sets and Online Retail.

`python -m benchmarks.batch.similar`. Seconds are wall time of a warm process: the median of three runs for the array
implementation, one run for datasketch and brute force. Compilation by numba is reported separately. Each size runs in a
separate process, so that its peak memory is measured.
"""

import csv
import gzip
import multiprocessing
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import typer

from benchmarks.result import report
from include.batch import parameters
from include.batch.lsh import brute_force
from include.batch.lsh.candidates import Index, Pairs
from include.batch.lsh.reference import Reference
from include.batch.lsh.sets import Sets
from include.batch.lsh.signatures import Banding, Hashes
from include.contracts.errors import ShowroomError, TerminalError

ONLINE_RETAIL = Path("../shared/data/online_retail.csv.gz")
PACKAGES = ("numba", "numpy", "scipy", "datasketch")

BASKET = 20
ITEMS = 20_000
GROUP = 5
MAX_SWAPPED = 8
SKEW = 1.5
"""Half of the users are in groups around one basket with up to MAX_SWAPPED items swapped; the others are ungrouped."""

MIN_ITEMS = 3
MAX_REFERENCE_USERS = 100_000
SAMPLE = 2_000
REPEATS = 3
WIDE = (42, 3)

TARGETS = {
    "recall_100000": ("at least", 0.97),
    "precision_100000": ("at least", 1.0),
    "seconds_100000": ("at most", 1.0),
    "times_datasketch_100000": ("at least", 20.0),
    "agree": ("at least", 1.0),
    "seconds_1000000": ("at most", 15.0),
    "peak_gb_1000000": ("at most", 4.0),
}

_T = TypeVar("_T")
Row = dict[str, Any]


def synthetic(users: int, seed: int) -> Sets:
    """Generate baskets of about BASKET of ITEMS items, with a skewed popularity."""
    draw = np.random.default_rng(seed)

    def items(count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.asarray(ITEMS * draw.random(count) ** SKEW, np.int64)

    groups = users // (2 * GROUP)
    tokens = np.repeat(items(groups * BASKET).reshape(groups, BASKET), GROUP, axis=0)
    swapped = np.arange(BASKET) < draw.integers(0, MAX_SWAPPED + 1, len(tokens))[:, None]
    tokens[swapped] = items(int(swapped.sum()))
    ungrouped = items((users - len(tokens)) * BASKET)
    everyone = np.repeat(np.arange(users), BASKET)
    return Sets.from_pairs(everyone, np.concatenate([tokens.ravel(), ungrouped]), users, ITEMS)


def online_retail(path: Path) -> Sets:
    """Return the products of each customer with at least MIN_ITEMS products.

    Raises:
        TerminalError: the file is missing.
    """
    bought: dict[str, set[str]] = {}
    for line in _lines(path):
        valid = line["CustomerID"] and not line["InvoiceNo"].startswith("C")
        if valid and float(line["Quantity"]) > 0 and float(line["UnitPrice"]) > 0:
            bought.setdefault(line["CustomerID"], set()).add(line["StockCode"])
    members = [bought[customer] for customer in sorted(bought) if len(bought[customer]) >= MIN_ITEMS]
    numbers = {item: number for number, item in enumerate(sorted(set().union(*members)))}
    pairs = [(owner, numbers[item]) for owner, items in enumerate(members) for item in items]
    owners, tokens = np.array(pairs, np.int64).T
    return Sets.from_pairs(owners, tokens, len(members), len(numbers))


def _lines(path: Path) -> Iterator[dict[str, str]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as source:
            yield from csv.DictReader(source)
    except OSError as error:
        raise TerminalError(
            f"reading {path} failed: {type(error).__name__}", "give the file of Online Retail by --data"
        ) from error


def measure(name: str, sets: Sets, banding: Banding, threshold: float, neighbours: int) -> Row:
    """Measure one collection of sets; return one row of the table."""
    hashes = np.random.default_rng(banding.seed).integers(0, 2**32, sets.vocabulary, dtype=np.uint32)
    warm_up_s, _ = _time(lambda: _search(sets.take(np.arange(10)), hashes, banding, threshold, neighbours))
    built, index = _time_repeats(lambda: Index.build(sets, hashes, banding))
    joined, result = _time_repeats(lambda: index.pairs(threshold))
    listed, near = _time_repeats(lambda: index.nearest(neighbours, threshold))
    index_s, pairs_s, nearest_s = (sorted(seconds)[REPEATS // 2] for seconds in (built, joined, listed))
    row: Row = {
        "sets": name,
        "users": len(sets),
        "mean_size": round(float(sets.sizes.mean()), 1),
        "compile_or_load_s": round(warm_up_s, 3),
        "index_s": round(index_s, 3),
        "pairs_s": round(pairs_s, 3),
        "nearest_s": round(nearest_s, 3),
        "array_s": round(index_s + pairs_s, 3),
        "pairs": len(result),
        "array_peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }
    whole = len(sets) <= MAX_REFERENCE_USERS
    rows = np.arange(len(sets)) if whole else np.random.default_rng(banding.seed).choice(len(sets), SAMPLE, False)
    exact_s, true = _time(lambda: brute_force.pairs(sets, threshold, None if whole else rows))
    restricted = result if whole else _restrict_to_rows(result, rows)
    sample = rows if len(rows) <= SAMPLE else rows[:: len(rows) // SAMPLE]
    row |= {
        "exact_s": round(exact_s, 2) if whole else None,
        "true_pairs": len(true),
        "recall": round(brute_force.recall(restricted, true), 5),
        "precision": round(brute_force.precision(restricted, true), 5),
        "nearest_recall": round(brute_force.nearest_recall(near, sets, sample, threshold)[0], 5),
    }
    if whole:
        reference_s, reference_pairs = _time(lambda: Reference.build(sets, hashes, banding).pairs(threshold))
        row |= {
            "datasketch_s": round(reference_s, 2),
            # Datasketch runs once; compare with the slowest run of the array implementation.
            "times_datasketch": round(reference_s / (max(built) + max(joined)), 1),
            "agree": bool(np.array_equal(reference_pairs.keys, result.keys)),
        }
    return row


def _search(sets: Sets, hashes: Hashes, banding: Banding, threshold: float, neighbours: int) -> None:
    index = Index.build(sets, hashes, banding)
    index.pairs(threshold)
    index.nearest(neighbours, threshold)


def _restrict_to_rows(pairs: Pairs, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Pairs:
    retained = np.isin(pairs.left, rows) | np.isin(pairs.right, rows)
    return Pairs(pairs.left[retained], pairs.right[retained], pairs.similarity[retained])


def _time(work: Callable[[], _T]) -> tuple[float, _T]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def _time_repeats(work: Callable[[], _T]) -> tuple[list[float], _T]:
    """Return the seconds of each run, and the result of the last."""
    first, value = _time(work)
    seconds = [first]
    for _ in range(REPEATS - 1):
        repeat_s, value = _time(work)
        seconds.append(repeat_s)
    return seconds, value


def _banding(seed: int, wide: bool = False) -> Banding:
    similar = parameters.load().similar
    bands, rows = WIDE if wide else (similar.bands, similar.rows)
    return Banding(similar.permutations, bands, rows, seed)


def measure_synthetic(users: int, seed: int) -> Row:
    """Measure synthetic users; runs in a separate process."""
    similar = parameters.load().similar
    return measure("synthetic", synthetic(users, seed), _banding(seed), similar.threshold, similar.neighbours)


def measure_retail(path: Path, seed: int, wide: bool) -> Row:
    """Measure Online Retail; runs in a separate process."""
    similar = parameters.load().similar
    name = "online retail" + (" 42x3" if wide else "")
    return measure(name, online_retail(path), _banding(seed, wide), similar.threshold, similar.neighbours)


def _run_in_process(work: Callable[..., Row], *arguments: Any) -> Row:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        row = pool.submit(work, *arguments).result()
    typer.echo(f"{row['sets']}, {row['users']:,} users: {row['array_s']} s, recall {row['recall']:.4f}", err=True)
    return row


COLUMNS = (
    *("sets", "users", "pairs", "recall", "precision", "nearest_recall", "compile_or_load_s", "index_s", "pairs_s"),
    *("array_s", "nearest_s", "array_peak_gb", "datasketch_s", "times_datasketch", "agree", "exact_s"),
)


def _table(rows: list[Row]) -> str:
    """Format one line per metric, one column per collection of sets."""
    return "\n".join(
        f"{name:<18}" + "".join(f"{row.get(name) if row.get(name) is not None else '-':>20}" for row in rows)
        for name in COLUMNS
    )


def _figures(rows: list[Row]) -> dict[str, Any]:
    figures: dict[str, Any] = {"agree": int(all(row["agree"] for row in rows if "agree" in row))}
    for row in rows:
        size = row["users"] if row["sets"] == "synthetic" else row["sets"].replace(" ", "_")
        figures |= {f"{name}_{size}": row[name] for name in ("recall", "precision", "nearest_recall")}
        figures |= {f"seconds_{size}": row["array_s"], f"nearest_seconds_{size}": row["nearest_s"]}
        figures |= {f"peak_gb_{size}": row["array_peak_gb"], f"pairs_{size}": row["pairs"]}
        if "agree" in row:
            figures |= {f"times_datasketch_{size}": row["times_datasketch"], f"exact_seconds_{size}": row["exact_s"]}
    return figures


def run(
    data: Annotated[Path, typer.Option(help="Online Retail, CSV in gzip.")] = ONLINE_RETAIL,
    users: Annotated[list[int], typer.Option(help="Synthetic users; may be repeated.")] = [  # noqa: B006
        10_000,
        100_000,
        1_000_000,
    ],
    seed: Annotated[int, typer.Option(help="Of the synthetic users and the permutations.")] = 1,
) -> None:
    """Compare arrays with datasketch and brute force; print a table, then one JSON line."""
    rows = [_run_in_process(measure_retail, data, seed, wide) for wide in (False, True)] + [
        _run_in_process(measure_synthetic, size, seed) for size in users
    ]
    typer.echo(_table(rows))
    figures = _figures(rows)
    targets = {name: target for name, target in TARGETS.items() if name in figures}
    similar = parameters.load().similar
    config: dict[str, Any] = {"bands": similar.bands, "rows": similar.rows, "permutations": similar.permutations}
    config |= {"threshold": similar.threshold, "neighbours": similar.neighbours}
    typer.echo(report("similar", figures=figures, targets=targets, seed=seed, config=config, packages=PACKAGES))


def main() -> None:
    """Run the command line; an error of the project prints one line."""
    try:
        typer.run(run)
    except ShowroomError as error:
        typer.echo(f"similar: {error}", err=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
