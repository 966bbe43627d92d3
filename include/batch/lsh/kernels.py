"""Compiled loops from buckets to verified pairs, neighbours and shared tokens.

Sets are passed as `offsets` (n + 1,), `tokens` (ascending within each set) and `bits` (n, words), the fields of
`sets.Sets`. Numba recompiles a function only when its own file changes. Functions here and in `bands` therefore never
call a compiled function of another file.
"""

from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from include.batch.lsh.jit import jit

Array = NDArray[Any]

NONE = -1
M1 = np.uint64(0x5555555555555555)
M2 = np.uint64(0x3333333333333333)
M4 = np.uint64(0x0F0F0F0F0F0F0F0F)
H01 = np.uint64(0x0101010101010101)


@jit()
def _bucket_end(keys: Array, begin: int) -> int:
    end = begin + 1
    while end < len(keys) and keys[end] == keys[begin]:
        end += 1
    return end


@jit()
def _popcount(word: Any) -> Any:
    word = word - ((word >> np.uint64(1)) & M1)
    word = (word & M2) + ((word >> np.uint64(2)) & M2)
    word = (word + (word >> np.uint64(4))) & M4
    return (word * H01) >> np.uint64(56)


@jit()
def _intersection_size(offsets: Array, tokens: Array, i: int, j: int) -> int:
    x, x_end, y, y_end = offsets[i], offsets[i + 1], offsets[j], offsets[j + 1]
    common = 0
    while x < x_end and y < y_end:
        left, right = tokens[x], tokens[y]
        common += left == right
        x += left <= right
        y += right <= left
    return common


@jit()
def jaccard(offsets: Array, tokens: Array, bits: Array, i: int, j: int, threshold: float) -> float:
    """Return the exact Jaccard similarity of two sets; -1 if their sizes alone keep it below `threshold`."""
    left, right = offsets[i + 1] - offsets[i], offsets[j + 1] - offsets[j]
    if min(left, right) < threshold * max(left, right):
        return -1.0
    common = 0
    if bits.shape[1]:
        for word in range(bits.shape[1]):
            common += int(_popcount(bits[i, word] & bits[j, word]))
    else:
        common = _intersection_size(offsets, tokens, i, j)
    either = left + right - common
    return common / either if either else 1.0


@jit()
def _shares_no_earlier_band(keys: Array, band: int, i: int, j: int) -> bool:
    earlier = 0
    while earlier < band and keys[earlier, i] != keys[earlier, j]:
        earlier += 1
    return earlier == band


@jit(parallel=True)
def pairs(
    keys: Array, order: Array, sorted_keys: Array, sets: tuple[Array, Array, Array], threshold: float, out: Any
) -> Array:
    """Verify the pairs of each band's buckets that share no earlier band; return the (bands,) counts.

    `out` = (start of each band, left, right, similarity); empty arrays are counted, not written.
    """
    offsets, tokens, bits = sets
    starts, lefts, rights, values = out
    bands, n = keys.shape
    counts = np.zeros(bands, np.int64)
    for band in prange(bands):
        begin, count = 0, 0
        while begin < n:
            end = _bucket_end(sorted_keys[band], begin)
            for x in range(begin, end):
                for y in range(x + 1, end):
                    i, j = min(order[band, x], order[band, y]), max(order[band, x], order[band, y])
                    if not _shares_no_earlier_band(keys, band, i, j):
                        continue
                    value = jaccard(offsets, tokens, bits, i, j, threshold)
                    if value < threshold:
                        continue
                    if len(lefts):
                        position = starts[band] + count
                        lefts[position], rights[position], values[position] = i, j, value
                    count += 1
            begin = end
        counts[band] = count
    return counts


@jit()
def push(ids: Array, values: Array, item: int, value: float) -> None:
    """Insert an item into a list ordered by value, descending, then by id; duplicates are ignored."""
    last = len(ids) - 1
    if value < values[last] or (value == values[last] and item >= ids[last]):
        return
    for position in range(len(ids)):
        if ids[position] == item:
            return
    while last > 0 and (value > values[last - 1] or (value == values[last - 1] and item < ids[last - 1])):
        ids[last], values[last] = ids[last - 1], values[last - 1]
        last -= 1
    ids[last], values[last] = item, value


@jit(parallel=True)
def nearest_of_band(
    keys: Array, order: Array, cuts: Array, sets: tuple[Array, Array, Array], threshold: float, window: int, out: Any
) -> tuple[int, int]:
    """Merge the buckets of one band into the nearest-neighbour lists; return pairs compared and skipped.

    `keys` are sorted; `out` = (ids (n, k), values (n, k)). A set is compared with the next `window` sets of its bucket.
    Buckets are disjoint, so parallel blocks write disjoint lists.
    """
    offsets, tokens, bits = sets
    ids, values = out
    last = ids.shape[1] - 1
    compared, cut = 0, 0
    for block in prange(len(cuts) - 1):
        begin = cuts[block]
        while begin < cuts[block + 1]:
            end = _bucket_end(keys, begin)
            for x in range(begin, end):
                i, stop = order[x], min(end, x + 1 + window)
                compared += stop - x - 1
                cut += end - stop
                for y in range(x + 1, stop):
                    j = order[y]
                    limit = max(threshold, min(values[i, last], values[j, last]))
                    value = jaccard(offsets, tokens, bits, i, j, limit)
                    if value >= limit:
                        push(ids[i], values[i], j, value)
                        push(ids[j], values[j], i, value)
            begin = end
    return compared, cut


@jit(parallel=True)
def expand_groups(group_of: Array, offsets: Array, members: Array, near: Any, out: Any) -> None:
    """Expand neighbours of sets to neighbours of owners: owners of the same set first, then of near sets.

    `near` = (ids (sets, k), values (sets, k)); `out` = (ids (owners, k), values (owners, k)), initialized with NONE and
    -1.
    """
    near_ids, near_values = near
    ids, values = out
    k = ids.shape[1]
    for owner in prange(len(group_of)):
        group = group_of[owner]
        for position in range(offsets[group], min(offsets[group] + k + 1, offsets[group + 1])):
            if members[position] != owner:
                push(ids[owner], values[owner], members[position], 1.0)
        for rank in range(near_ids.shape[1]):
            other = near_ids[group, rank]
            if other == NONE:
                break
            for position in range(offsets[other], min(offsets[other] + k, offsets[other + 1])):
                push(ids[owner], values[owner], members[position], near_values[group, rank])


@jit(parallel=True)
def rarest_shared_tokens(offsets: Array, tokens: Array, rows: Array, others: Array, frequency: Array, out: Any) -> None:
    """Count the tokens that neighbours share and select the rarest of them.

    Args:
        offsets: bounds of the sets in `tokens` (n + 1,).
        tokens: tokens of all sets, ascending within each set.
        rows: sets (m,).
        others: sets of their neighbours (m, k), or NONE.
        frequency: number of owners of each token (tokens,).
        out: tokens (m, k, r) initialized with NONE, and counts (m, k) initialized with 0.
    """
    rarest, counts = out
    for m in prange(len(rows)):
        for rank in range(others.shape[1]):
            if others[m, rank] == NONE:
                break
            x, x_end = offsets[rows[m]], offsets[rows[m] + 1]
            y, y_end = offsets[others[m, rank]], offsets[others[m, rank] + 1]
            best = np.full(rarest.shape[2], -np.inf)
            while x < x_end and y < y_end:
                left, right = tokens[x], tokens[y]
                if left == right:
                    counts[m, rank] += 1
                    push(rarest[m, rank], best, left, -float(frequency[left]))
                x += left <= right
                y += right <= left
