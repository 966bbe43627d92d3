"""Replace the published neighbours in MongoDB and Elasticsearch.

Each store switches atomically from the previous run to the new run. A failed run has replaced nothing, or MongoDB only;
a rerun replaces both.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from include.batch.lsh.stores import Store
from include.contracts.errors import TerminalError

FILE = "neighbours.parquet"
BATCH_ROWS = 2_000

Status = Literal["alike", "nobody_alike", "too_few_tokens"]
"""Status of a user: has neighbours, has none above the threshold, or has too few tokens."""

Rows = Sequence[Mapping[str, Any]]


def publish(batches: Iterable[Rows], stores: Sequence[Store], run: str) -> int:
    """Replace the contents of the stores by these rows, marked with the run; return the number of rows.

    All rows are staged and counted in all stores before the first store switches.

    Raises:
        TerminalError: there are no rows; nothing is replaced.
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
    """Return the published document of a user: the row, its highest similarity and the run."""
    neighbours = row["neighbours"]
    return {**row, "nearest_similarity": neighbours[0]["similarity"] if neighbours else None, "run": run}


def read(folder: Path) -> Iterator[Rows]:
    """Yield the rows of the folder's file in batches.

    Raises:
        TerminalError: the file is missing or unreadable.
    """
    # Imported here, because the environment that tests the stores does not install pyarrow.
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    path = folder / FILE
    try:
        with pq.ParquetFile(path) as source:
            for rows in source.iter_batches(batch_size=BATCH_ROWS):
                yield rows.to_pylist()
    except (OSError, pa.ArrowInvalid) as error:
        raise TerminalError(f"reading {path} failed: {type(error).__name__}", "run the step similar first") from error
