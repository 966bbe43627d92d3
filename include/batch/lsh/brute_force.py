"""The truth by brute force: every set against every other, as a sparse product."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from include.batch.lsh.candidates import Nearest, Pairs, Values
from include.batch.lsh.sets import Sets

CHUNK_CELLS = 20_000_000


def pairs(sets: Sets, threshold: float, rows: NDArray[np.int64] | None = None) -> Pairs:
    """All pairs at least this similar; with `rows` only those whose left or right is one of them.

    The work and, by chunks, the memory grow with the pairs that share any token.
    """
    selected = np.arange(len(sets)) if rows is None else np.unique(rows)
    chunks = [_pairs_of(sets, part, threshold) for part in _chunks(sets, selected)]
    left, right, similarity = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    low, high = np.minimum(left, right), np.maximum(left, right)
    _, once = np.unique((low.astype(np.int64) << 32) | high, return_index=True)
    return Pairs(low[once].astype(np.int32), high[once].astype(np.int32), similarity[once])


def recall(result: Pairs, true: Pairs) -> float:
    """Share of the true pairs in the result; 1 without true pairs."""
    return float(np.isin(true.keys, result.keys, assume_unique=True).mean()) if len(true) else 1.0


def precision(result: Pairs, true: Pairs) -> float:
    """Share of true pairs among the result; 1 without results."""
    return float(np.isin(result.keys, true.keys, assume_unique=True).mean()) if len(result) else 1.0


def nearest_recall(result: Nearest, sets: Sets, rows: NDArray[np.int64], threshold: float) -> tuple[float, int]:
    """Recall of the k nearest neighbours of these sets, and the number of true neighbours; 1 where there are none.

    Ties with the k-th neighbour count as hits.
    """
    k = result.ids.shape[1]
    hits = total = 0
    for part in _chunks(sets, rows):
        owners, _, values = _similar(sets, part, threshold)
        for position, row in enumerate(part):
            best = np.sort(values[owners == position])[::-1][:k]
            total += len(best)
            if len(best):
                hits += min(len(best), int((result.similarity[row] >= best[-1]).sum()))
    return (hits / total if total else 1.0), total


def _chunks(sets: Sets, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Rows in parts whose product stays small: a row meets at most every owner of each of its tokens."""
    frequency = np.bincount(sets.tokens, minlength=sets.vocabulary)
    meets = np.add.reduceat(np.append(frequency[sets.tokens], 0), sets.offsets[:-1]) * (sets.sizes > 0)
    reached = np.cumsum(np.minimum(meets[rows], len(sets)))
    return np.split(rows, np.flatnonzero(np.diff(reached // CHUNK_CELLS)) + 1)


def _similar(
    sets: Sets, rows: NDArray[np.int64], threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], Values]:
    """(place in rows, other set, similarity) of all that are similar enough, without the set itself."""
    ones = np.ones(len(sets.tokens), np.int32)
    matrix = sparse.csr_array((ones, sets.tokens, sets.offsets), shape=(len(sets), sets.vocabulary))
    common = (matrix[rows] @ matrix.T).tocoo()
    either = sets.sizes[rows][common.row] + sets.sizes[common.col] - common.data
    values = common.data / either
    is_pair = (values >= threshold) & (rows[common.row] != common.col)
    return common.row[is_pair].astype(np.int64), common.col[is_pair].astype(np.int64), values[is_pair]


def _pairs_of(
    sets: Sets, rows: NDArray[np.int64], threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], Values]:
    positions, others, values = _similar(sets, rows, threshold)
    return rows[positions], others, values
