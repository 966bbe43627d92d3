"""MinHash signatures as arrays: the numbers that datasketch would give, bit for bit."""

from dataclasses import dataclass

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray

from include.batch.lsh import bands
from include.batch.lsh.sets import Sets

SCHEME = "affine32"
LARGEST_SEED = 2**32

Hashes = NDArray[np.uint32]
Keys = NDArray[np.uint32]


@dataclass(frozen=True)
class Banding:
    """`permutations` of a signature in `bands` of `rows` each; what is left over is unused.

    Two sets of similarity s meet in at least one band with probability 1 - (1 - s^rows)^bands
    (Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, chapter 3.4).
    """

    permutations: int
    bands: int
    rows: int
    seed: int

    def meets(self, similarity: float) -> float:
        """Probability that two sets of this similarity become candidates."""
        return float(1 - (1 - similarity**self.rows) ** self.bands)


def permutations(banding: Banding) -> tuple[Hashes, Hashes]:
    """Factors and summands (permutations,) of datasketch's scheme for the seed."""
    a, b = MinHash(num_perm=banding.permutations, seed=banding.seed % LARGEST_SEED, scheme=SCHEME).permutations
    return np.ascontiguousarray(a), np.ascontiguousarray(b)


def mixed(hashes: Hashes) -> Hashes:
    """The finalizer of MurmurHash3 (Appleby), which datasketch applies to a token's hash before it permutes it."""
    mixed = hashes ^ (hashes >> np.uint32(16))
    mixed = mixed * np.uint32(0x85EBCA6B)
    mixed = mixed ^ (mixed >> np.uint32(13))
    mixed = mixed * np.uint32(0xC2B2AE35)
    final: Hashes = mixed ^ (mixed >> np.uint32(16))
    return final


def signatures(sets: Sets, hashes: Hashes, banding: Banding) -> NDArray[np.uint32]:
    """(n, permutations) signatures of sets whose tokens have these hashes (vocabulary,)."""
    a, b = permutations(banding)
    rows: NDArray[np.uint32] = bands.signatures(sets.offsets, sets.tokens, mixed(hashes), a, b)
    return rows


def band_keys(sets: Sets, hashes: Hashes, banding: Banding) -> Keys:
    """(bands, n) keys: equal where the signatures agree in the whole band.

    Keys are hashes of 32 bits; two bands that differ have the same one by accident once in 2^32, which costs an
    exact comparison and nothing else.
    """
    a, b = permutations(banding)
    used = banding.bands * banding.rows
    keys: Keys = bands.band_keys(sets.offsets, sets.tokens, mixed(hashes), a[:used], b[:used], banding.bands)
    return keys
