"""Publish neighbours to MongoDB and Elasticsearch in place of the previous run.

Readers see the old run or the new one in each store at any moment. A run that fails early has replaced nothing, or
MongoDB only; a rerun replaces both.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from include.batch.lsh.stores import Store
from include.contracts.errors import TerminalError

FILE = "neighbours.parquet"
BATCH = 2_000

Status = Literal["alike", "nobody_alike", "too_few_tokens"]
"""Status of a user: has neighbours, has none above the threshold, or has too few tokens."""

Rows = Sequence[Mapping[str, Any]]


def publish(batches: Iterable[Rows], stores: Sequence[Store], run: str) -> int:
    """Replace what the stores hold by these rows, marked with the run; how many.

    Everything is staged and counted in all stores before the first of them switches. Raises TerminalError for no
    rows: nothing is then replaced.
    """
    count = 0
    for rows in batches:
        documents = [document(row, run) for row in rows]
        if not documents:
            continue
        for store in stores:
            store.stage(documents)
        count += len(documents)
    if not count:
        raise TerminalError("there are no neighbours to publish", "run the step similar on a window with visits")
    for store in stores:
        store.check(count)
    for store in stores:
        store.swap()
    for store in stores:
        store.cleanup()
    return count


def document(row: Mapping[str, Any], run: str) -> dict[str, Any]:
    """What is published of a user: the row as the file has it, its nearest similarity and the run."""
    listed = row["neighbours"]
    return {**row, "nearest_similarity": listed[0]["similarity"] if listed else None, "run": run}


def read(folder: Path) -> Iterator[Rows]:
    """Rows of the folder's file in batches. Raises TerminalError where it is missing or cannot be read."""
    # Only the environment of the nightly batch has it; the stores are tested where the servers are.
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    path = folder / FILE
    try:
        with pq.ParquetFile(path) as source:
            for rows in source.iter_batches(batch_size=BATCH):
                yield rows.to_pylist()
    except (OSError, pa.ArrowInvalid) as error:
        raise TerminalError(f"{path} cannot be read ({type(error).__name__})", "run the step similar first") from error
