"""Neighbours of each user with their shared tokens, and the file that the next step publishes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from include.batch.lsh import kernels
from include.batch.lsh.candidates import Nearest, Values
from include.batch.lsh.publish import FILE, Status
from include.batch.lsh.sets import Groups, Numbers
from include.batch.lsh.tokens import Users

MAX_SHARED_TOKENS = 5
ROW_GROUP_SIZE = 50_000

STATUSES: tuple[Status, ...] = ("alike", "nobody_alike", "too_few_tokens")


@dataclass(frozen=True)
class Neighbours:
    """The k nearest neighbours of n users: `ids` (n, k) are rows of `users`, -1 if there are fewer.

    `status` (n,) are indices of STATUSES; `same` (n,) is the number of other users with an identical token set.
    """

    users: Users
    ids: Numbers
    similarity: Values
    status: NDArray[np.int8]
    same: NDArray[np.int64]


def neighbours(users: Users, eligible: NDArray[np.int64], groups: Groups, near: Nearest) -> Neighbours:
    """Map neighbours of distinct sets to users; `eligible` (m,) are the rows of the users in `groups`, ascending."""
    n, k = len(users.ids), near.ids.shape[1]
    ids, values = np.full((len(eligible), k), kernels.NONE, np.int32), np.full((len(eligible), k), -1.0)
    kernels.expand_groups(groups.of, groups.offsets, groups.members, (near.ids, near.similarity), (ids, values))
    all_ids, all_values = np.full((n, k), kernels.NONE, np.int32), np.full((n, k), -1.0)
    all_ids[eligible] = np.where(ids == kernels.NONE, kernels.NONE, eligible[ids])
    all_values[eligible] = values
    status = np.full(n, STATUSES.index("too_few_tokens"), np.int8)
    status[eligible] = np.where(ids[:, 0] == kernels.NONE, STATUSES.index("nobody_alike"), STATUSES.index("alike"))
    same = np.zeros(n, np.int64)
    same[eligible] = groups.sizes[groups.of] - 1
    return Neighbours(users, all_ids, all_values, status, same)


def write(result: Neighbours, folder: Path) -> Path:
    """Write neighbours.parquet, one row per user in the order of their ids, replacing the file atomically."""
    path = folder / FILE
    partial = path.with_suffix(".partial")
    with pq.ParquetWriter(partial, _schema(), compression="zstd") as writer:
        for start in range(0, max(len(result.status), 1), ROW_GROUP_SIZE):
            writer.write_table(_table(result, start, min(start + ROW_GROUP_SIZE, len(result.status))))
    partial.replace(path)
    return path


def shared_tokens(result: Neighbours, start: int, stop: int) -> tuple[Numbers, Numbers]:
    """Return the tokens that users [start, stop) share with their neighbours.

    Returns:
        (m, k, MAX_SHARED_TOKENS) the rarest shared tokens, and (m, k) the number of all shared tokens.
    """
    sets = result.users.sets
    frequency = np.bincount(sets.tokens, minlength=sets.vocabulary)
    others = result.ids[start:stop]
    rarest = np.full((*others.shape, MAX_SHARED_TOKENS), kernels.NONE, np.int32)
    counts = np.zeros(others.shape, np.int32)
    rows = np.arange(start, stop)
    kernels.rarest_shared_tokens(sets.offsets, sets.tokens, rows, others, frequency, (rarest, counts))
    return rarest, counts


def _schema() -> pa.Schema:
    neighbour = pa.struct(
        [
            ("user_id", pa.string()),
            ("similarity", pa.float64()),
            ("shared_tokens", pa.int32()),
            ("shared", pa.list_(pa.string())),
        ]
    )
    return pa.schema(
        [
            ("user_id", pa.string()),
            ("status", pa.string()),
            ("tokens", pa.int32()),
            ("same_tokens", pa.int64()),
            ("neighbours", pa.list_(neighbour)),
        ]
    )


def _table(result: Neighbours, start: int, stop: int) -> pa.Table:
    rarest, counts = shared_tokens(result, start, stop)
    is_present = result.ids[start:stop] != kernels.NONE
    rarest_present = rarest[is_present]
    shared = pa.ListArray.from_arrays(
        _offsets((rarest_present != kernels.NONE).sum(axis=1)),
        _texts(result.users.tokens, rarest_present[rarest_present != kernels.NONE]),
    )
    members = pa.StructArray.from_arrays(
        [
            _texts(result.users.ids, result.ids[start:stop][is_present]),
            pa.array(result.similarity[start:stop][is_present]),
            pa.array(counts[is_present]),
            shared,
        ],
        fields=list(_schema().field("neighbours").type.value_type),
    )
    columns = [
        pa.array(result.users.ids[start:stop], pa.string()),
        pa.array([STATUSES[number] for number in result.status[start:stop]], pa.string()),
        pa.array(result.users.sets.sizes[start:stop].astype(np.int32)),
        pa.array(result.same[start:stop]),
        pa.ListArray.from_arrays(_offsets(is_present.sum(axis=1)), members),
    ]
    return pa.Table.from_arrays(columns, schema=_schema())


def _offsets(sizes: NDArray[np.int64]) -> pa.Array:
    return pa.array(np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)]).astype(np.int32))


def _texts(names: list[str], numbers: Numbers) -> pa.Array:
    distinct, positions = np.unique(numbers, return_inverse=True)
    return pa.array([names[number] for number in distinct], pa.string()).take(pa.array(positions))
