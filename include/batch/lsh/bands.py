"""Compiled loops from token sets to sorted band keys.

Sets are passed as `offsets` (n + 1,), `tokens` (ascending within each set) and `bits` (n, words), the fields of
`sets.Sets`.
"""

from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from include.batch.lsh.jit import jit

Array = NDArray[Any]

BLOCK = 512
CHAINS = 4
DIGIT = 11
MASK = np.uint32(0x7FF)
MAX_HASH = np.uint32(0xFFFFFFFF)
SEED = np.uint64(0x9E3779B97F4A7C15)
MIX1 = np.uint64(0xBF58476D1CE4E5B9)
MIX2 = np.uint64(0x94D049BB133111EB)


@jit()
def fill_bits(offsets: Array, tokens: Array, bits: Array) -> None:
    """Set bit t of row i where token t is in set i."""
    for i in range(len(offsets) - 1):
        for position in range(offsets[i], offsets[i + 1]):
            token = np.uint64(tokens[position])
            bits[i, token >> np.uint64(6)] |= np.uint64(1) << (token & np.uint64(63))


@jit()
def _mix(key: Any, value: Any) -> Any:
    # The finalizer of splitmix64 (Steele, Lea, Flood, OOPSLA 2014) after each value.
    key = (key ^ np.uint64(value)) + SEED
    key = (key ^ (key >> np.uint64(30))) * MIX1
    key = (key ^ (key >> np.uint64(27))) * MIX2
    return key ^ (key >> np.uint64(31))


@jit(parallel=True)
def set_hashes(offsets: Array, tokens: Array) -> Array:
    """Return the (n,) 64-bit hash of each set."""
    n = len(offsets) - 1
    out = np.empty(n, np.uint64)
    for i in prange(n):
        key = SEED
        for position in range(offsets[i], offsets[i + 1]):
            key = _mix(key, tokens[position])
        out[i] = key
    return out


@jit()
def first_identical(offsets: Array, tokens: Array, hashes: Array, order: Array) -> Array:
    """Return the (n,) lowest index of an identical set; `order` sorts by hash, then by index."""
    first = np.empty(len(order), np.int64)
    leader = order[0] if len(order) else 0
    for position in range(len(order)):
        i = order[position]
        if hashes[i] != hashes[leader]:
            leader = i
        same = offsets[i + 1] - offsets[i] == offsets[leader + 1] - offsets[leader]
        step = 0
        while same and step < offsets[i + 1] - offsets[i]:
            same = tokens[offsets[i] + step] == tokens[offsets[leader] + step]
            step += 1
        first[i] = leader if same else i
    return first


@jit()
def _sign(tokens: Array, hashes: Array, a: Array, b: Array, row: Array) -> None:
    row[:] = MAX_HASH
    for token in tokens:
        mixed = hashes[token]
        for p in range(len(a)):
            value = np.uint32(a[p] * mixed + b[p])
            row[p] = min(row[p], value)


@jit(parallel=True)
def signatures(offsets: Array, tokens: Array, hashes: Array, a: Array, b: Array) -> Array:
    """Return (n, permutations) MinHash signatures; `hashes` (tokens,) and `a`, `b` (permutations,) are uint32."""
    n = len(offsets) - 1
    out = np.empty((n, len(a)), np.uint32)
    for i in prange(n):
        _sign(tokens[offsets[i] : offsets[i + 1]], hashes, a, b, out[i])
    return out


@jit(parallel=True)
def band_keys(offsets: Array, tokens: Array, hashes: Array, a: Array, b: Array, bands: int) -> Array:
    """Return (bands, n) 32-bit keys of the bands of each signature; the signatures are not stored."""
    n, rows = len(offsets) - 1, len(a) // bands
    out = np.empty((bands, n), np.uint32)
    for block in prange((n + BLOCK - 1) // BLOCK):
        row = np.empty(len(a), np.uint32)
        for i in range(block * BLOCK, min(n, (block + 1) * BLOCK)):
            _sign(tokens[offsets[i] : offsets[i + 1]], hashes, a, b, row)
            for band in range(bands):
                key = SEED
                for p in range(band * rows, (band + 1) * rows):
                    key = _mix(key, row[p])
                out[band, i] = np.uint32(key)
    return out


@jit()
def _radix_pass(shift: Any, source: tuple[Array, Array], target: tuple[Array, Array], counts: Array) -> None:
    keys, order = source
    keys_to, order_to = target
    counts[:] = 0
    for key in keys:
        counts[((key >> shift) & MASK) + 1] += 1
    for value in range(1, len(counts)):
        counts[value] += counts[value - 1]
    for position in range(len(keys)):
        value = (keys[position] >> shift) & MASK
        keys_to[counts[value]], order_to[counts[value]] = keys[position], order[position]
        counts[value] += 1


@jit(parallel=True)
def sort_bands(keys: Array) -> tuple[Array, Array]:
    """Return, for each band, the sets sorted by key and the sorted keys, both (bands, n).

    Sets with one key are sorted by the keys of the later bands, so that neighbours in a long bucket also share further
    bands, as in an LSH forest (Bawa, Condie, Ganesan, WWW 2005). Each chain of bands is radix-sorted from its last band
    to its first. The number of chains is fixed, so the order does not depend on the machine.
    """
    bands, n = keys.shape
    orders, sorted_keys = np.empty((bands, n), np.int32), np.empty((bands, n), np.uint32)
    for chain in prange(CHAINS):
        order, spare = np.arange(n).astype(np.int32), np.empty(n, np.int32)
        spare_keys = np.empty(n, np.uint32)
        counts = np.empty((1 << DIGIT) + 1, np.int64)
        first, last = chain * bands // CHAINS, (chain + 1) * bands // CHAINS
        for step in range(last - first):
            band = last - 1 - step
            for position in range(n):
                spare_keys[position] = keys[band, order[position]]
            first_buffer, second_buffer = (spare_keys, order), (sorted_keys[band], orders[band])
            _radix_pass(np.uint32(0), first_buffer, second_buffer, counts)
            _radix_pass(np.uint32(DIGIT), second_buffer, (spare_keys, spare), counts)
            _radix_pass(np.uint32(2 * DIGIT), (spare_keys, spare), second_buffer, counts)
            order[:] = orders[band]
    return orders, sorted_keys


@jit()
def split_blocks(keys: Array, parts: int) -> Array:
    """Return positions that cut the sorted keys of one band into about `parts` blocks of whole buckets."""
    n = len(keys)
    cuts = np.empty(parts + 1, np.int64)
    cuts[0], cuts[parts] = 0, n
    for part in range(1, parts):
        position = max(n * part // parts, cuts[part - 1])
        while 0 < position < n and keys[position] == keys[position - 1]:
            position += 1
        cuts[part] = position
    return cuts
