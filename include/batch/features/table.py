"""The feature table that steps exchange: one Parquet file, sorted by time."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from include.batch.samples import Labels, Matrix, Rows
from include.contracts.errors import TerminalError

FILE = "features.parquet"
KEYS = ("session_id", "user_id", "started_us", "made")


@dataclass(frozen=True)
class Table:
    """n sessions, sorted by (started_us, session_id).

    `session_id` (n,) the archive's document ids and `user_id` (n,) are strings, `started_us` (n,) microseconds since
    1970, `made` (n,) the outcome, `x` (n, d) the columns named by `columns`. `digest` (SHA-256, hex) is of all of
    these: equal digests, equal tables.
    """

    session_id: NDArray[np.object_]
    user_id: NDArray[np.object_]
    started_us: Rows
    made: Labels
    x: Matrix
    columns: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.made)

    @property
    def digest(self) -> str:
        """SHA-256 over names, keys, outcomes and columns."""
        sha256 = hashlib.sha256("\n".join(self.columns).encode())
        for texts in (self.session_id, self.user_id):
            sha256.update("\n".join(texts.tolist()).encode())
        for numbers in (self.started_us, self.made, self.x):
            sha256.update(np.ascontiguousarray(numbers).tobytes())
        return sha256.hexdigest()


def write(table: Table, folder: Path) -> Path:
    """Write the table into `folder`, replacing the file atomically."""
    columns = {
        "session_id": pa.array(table.session_id, pa.string()),
        "user_id": pa.array(table.user_id, pa.string()),
        "started_us": pa.array(table.started_us),
        "made": pa.array(table.made),
        **{name: pa.array(table.x[:, index]) for index, name in enumerate(table.columns)},
    }
    path = folder / FILE
    partial = path.with_suffix(".partial")
    pq.write_table(pa.table(columns), partial, compression="zstd")
    partial.replace(path)
    return path


def read(folder: Path) -> Table:
    """Read the table of a folder.

    Raises:
        TerminalError: the file is missing or unreadable.
    """
    path = folder / FILE
    try:
        parquet = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise TerminalError(f"reading {path} failed: {type(error).__name__}", "run the step features first") from error
    columns = tuple(name for name in parquet.column_names if name not in KEYS)
    x = np.empty((parquet.num_rows, len(columns)), dtype=np.float32)
    for index, name in enumerate(columns):
        x[:, index] = parquet[name].to_numpy()
    return Table(
        session_id=parquet["session_id"].to_numpy(),
        user_id=parquet["user_id"].to_numpy(),
        started_us=parquet["started_us"].to_numpy(),
        made=parquet["made"].to_numpy(),
        x=x,
        columns=columns,
    )
