"""Build the feature table of a window from archived sessions."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.batch import parameters
from include.batch.features import encode_session, history
from include.batch.features.columns import NAMES, SESSION
from include.batch.features.table import Table
from include.batch.samples import Labels, Rows
from include.batch.window import Window
from include.contracts.errors import TerminalError

SCRATCH = "features.chunks.partial"
LOG_INTERVAL_ROWS = 100_000

Documents = Sequence[Mapping[str, Any]]
Log = Callable[[str], None]


@dataclass
class _Keys:
    """Keys of all sessions in memory; their columns are on disk."""

    session_id: list[pa.Array] = field(default_factory=list)
    user_id: list[pa.Array] = field(default_factory=list)
    started_us: list[Rows] = field(default_factory=list)
    ended_us: list[Rows] = field(default_factory=list)
    made: list[Labels] = field(default_factory=list)
    rows: int = 0

    def add(self, chunk: encode_session.Chunk) -> None:
        self.session_id.append(pa.array(chunk.session_id, pa.string()))
        self.user_id.append(pa.array(chunk.user_id, pa.string()))
        self.started_us.append(chunk.started_us)
        self.ended_us.append(chunk.ended_us)
        self.made.append(chunk.made)
        self.rows += len(chunk.session_id)


def build(
    chunks: Iterable[Documents],
    window: Window,
    features: parameters.FeatureParameters,
    folder: Path,
    log: Log = lambda _: None,
) -> Table:
    """Build the feature table of a window from documents in any order and any chunking.

    The columns of a chunk are written to a scratch file of `folder`, which is deleted afterwards. Rows are sorted by
    (started_us, session_id); duplicate sessions are dropped.

    Raises:
        TerminalError: there is no session, or a document is not a session.
    """
    with _scratch(folder / SCRATCH) as path:
        keys = _to_disk(chunks, path, features, log)
        if not keys.rows:
            raise TerminalError(
                f"the archive has no session that began in {window}", "archive sessions first, or give another window"
            )
        return _assemble(keys, path, window, features)


@contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _to_disk(chunks: Iterable[Documents], path: Path, features: parameters.FeatureParameters, log: Log) -> _Keys:
    """Write one row group per chunk, in the order of reading; return the keys."""
    keys = _Keys()
    schema = pa.schema([(column.name, pa.float32()) for column in SESSION])
    logged_rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for documents in chunks:
            chunk = encode_session.encode(documents, reviews=features.reviews)
            keys.add(chunk)
            columns = [pa.array(np.ascontiguousarray(chunk.x[:, index])) for index in range(len(SESSION))]
            writer.write_table(pa.table(columns, schema=schema))
            if keys.rows >= logged_rows + LOG_INTERVAL_ROWS:
                logged_rows = keys.rows
                log(f"{keys.rows:,} sessions read")
    return keys


def _assemble(keys: _Keys, path: Path, window: Window, features: parameters.FeatureParameters) -> Table:
    session_id, user_id = pa.chunked_array(keys.session_id), pa.chunked_array(keys.user_id)
    started, ended, made = (np.concatenate(parts) for parts in (keys.started_us, keys.ended_us, keys.made))
    by_time = pc.sort_indices(
        pa.table({"started": started, "session": session_id}),
        sort_keys=[("started", "ascending"), ("session", "ascending")],
    ).to_numpy()
    order = by_time[_is_first(started[by_time], session_id.take(by_time))].astype(np.int64)
    users = user_id.take(order).to_numpy()
    x = np.empty((len(order), len(NAMES)), dtype=np.float32)
    _copy_columns(path, order, keys.rows, x)
    x[:, len(SESSION) :] = history.columns(
        history.Visits(pd.factorize(users)[0].astype(np.int64), started[order], ended[order], made[order]),
        since_us=round(window.start.timestamp() * 1e6),
        days=features.history_days,
    )
    return Table(
        session_id=session_id.take(order).to_numpy(),
        user_id=users,
        started_us=started[order],
        made=made[order],
        x=x,
        columns=NAMES,
    )


def _is_first(started: Rows, session_id: pa.ChunkedArray) -> Labels:
    """Return a mask (n,) of the sorted sessions that differ from the previous session."""
    is_duplicate = pc.equal(session_id[1:], session_id[:-1]).to_numpy().astype(np.bool_) & (started[1:] == started[:-1])
    return np.concatenate(([True], ~is_duplicate))


def _copy_columns(path: Path, order: Rows, rows: int, x: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    """Copy the columns on disk into the row order of the table, one row group at a time."""
    target = np.full(rows, -1, dtype=np.int64)
    target[order] = np.arange(len(order))
    at = 0
    with pq.ParquetFile(path) as source:
        for group in range(source.num_row_groups):
            part = source.read_row_group(group)
            positions = target[at : at + part.num_rows]
            is_used = positions >= 0
            for index in range(len(SESSION)):
                x[positions[is_used], index] = part.column(index).to_numpy()[is_used]
            at += part.num_rows
