"""Exact pairs by brute force, as ground truth: all sets against all sets, as a sparse product."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from include.batch.lsh.candidates import Nearest, Pairs, Values
from include.batch.lsh.sets import Sets

MAX_CHUNK_CELLS = 20_000_000


def pairs(sets: Sets, threshold: float, rows: NDArray[np.int64] | None = None) -> Pairs:
    """Return all pairs with at least this similarity; with `rows`, only pairs that contain one of them.

    Time grows with the number of pairs that share a token. Chunks limit the memory.
    """
    selected = np.arange(len(sets)) if rows is None else np.unique(rows)
    chunks = [_pairs_of(sets, part, threshold) for part in _chunks(sets, selected)]
    left, right, similarity = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    low, high = np.minimum(left, right), np.maximum(left, right)
    _, first_index = np.unique((low.astype(np.int64) << 32) | high, return_index=True)
    return Pairs(low[first_index].astype(np.int32), high[first_index].astype(np.int32), similarity[first_index])


def recall(result: Pairs, true: Pairs) -> float:
    """Return the share of the true pairs in the result; 1 without true pairs."""
    return float(np.isin(true.keys, result.keys, assume_unique=True).mean()) if len(true) else 1.0


def precision(result: Pairs, true: Pairs) -> float:
    """Return the share of true pairs in the result; 1 for an empty result."""
    return float(np.isin(result.keys, true.keys, assume_unique=True).mean()) if len(result) else 1.0


def nearest_recall(result: Nearest, sets: Sets, rows: NDArray[np.int64], threshold: float) -> tuple[float, int]:
    """Return the recall of the k nearest neighbours of these sets, and the number of true neighbours.

    Ties with the k-th neighbour count as hits. The recall is 1 if there are no true neighbours.
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
    """Split rows so that each product is small: a row has at most as many pairs as its tokens have owners."""
    frequency = np.bincount(sets.tokens, minlength=sets.vocabulary)
    pairs_per_row = np.add.reduceat(np.append(frequency[sets.tokens], 0), sets.offsets[:-1]) * (sets.sizes > 0)
    cumulative_pairs = np.cumsum(np.minimum(pairs_per_row[rows], len(sets)))
    return np.split(rows, np.flatnonzero(np.diff(cumulative_pairs // MAX_CHUNK_CELLS)) + 1)


def _similar(
    sets: Sets, rows: NDArray[np.int64], threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], Values]:
    """Return (index in rows, other set, similarity) of all pairs above the threshold, without self-pairs."""
    ones = np.ones(len(sets.tokens), np.int32)
    matrix = sparse.csr_array((ones, sets.tokens, sets.offsets), shape=(len(sets), sets.vocabulary))
    intersection = (matrix[rows] @ matrix.T).tocoo()
    union = sets.sizes[rows][intersection.row] + sets.sizes[intersection.col] - intersection.data
    values = intersection.data / union
    is_pair = (values >= threshold) & (rows[intersection.row] != intersection.col)
    return intersection.row[is_pair].astype(np.int64), intersection.col[is_pair].astype(np.int64), values[is_pair]


def _pairs_of(
    sets: Sets, rows: NDArray[np.int64], threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], Values]:
    positions, others, values = _similar(sets, rows, threshold)
    return rows[positions], others, values
