"""MinHash signatures as arrays, bit-identical to those of datasketch."""

from dataclasses import dataclass

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray

from include.batch.lsh import bands
from include.batch.lsh.sets import Sets

SCHEME = "affine32"
MAX_SEED = 2**32

Hashes = NDArray[np.uint32]
Keys = NDArray[np.uint32]


@dataclass(frozen=True)
class Banding:
    """`permutations` of a signature in `bands` of `rows` each; the remainder is unused.

    Two sets of similarity s share at least one band with probability 1 - (1 - s^rows)^bands (Leskovec, Rajaraman,
    Ullman: Mining of Massive Datasets, chapter 3.4).
    """

    permutations: int
    bands: int
    rows: int
    seed: int

    def candidate_probability(self, similarity: float) -> float:
        """Return the probability that two sets of this similarity become candidates."""
        return float(1 - (1 - similarity**self.rows) ** self.bands)


def permutations(banding: Banding) -> tuple[Hashes, Hashes]:
    """Return the factors and summands (permutations,) of datasketch's scheme for the seed."""
    a, b = MinHash(num_perm=banding.permutations, seed=banding.seed % MAX_SEED, scheme=SCHEME).permutations
    return np.ascontiguousarray(a), np.ascontiguousarray(b)


def murmur3_finalizer(hashes: Hashes) -> Hashes:
    """Apply the finalizer of MurmurHash3 (Appleby), as datasketch does before it permutes a token's hash."""
    mixed = hashes ^ (hashes >> np.uint32(16))
    mixed = mixed * np.uint32(0x85EBCA6B)
    mixed = mixed ^ (mixed >> np.uint32(13))
    mixed = mixed * np.uint32(0xC2B2AE35)
    final: Hashes = mixed ^ (mixed >> np.uint32(16))
    return final


def signatures(sets: Sets, hashes: Hashes, banding: Banding) -> NDArray[np.uint32]:
    """Return the (n, permutations) signatures of sets; `hashes` (vocabulary,) are the token hashes."""
    a, b = permutations(banding)
    rows: NDArray[np.uint32] = bands.signatures(sets.offsets, sets.tokens, murmur3_finalizer(hashes), a, b)
    return rows


def band_keys(sets: Sets, hashes: Hashes, banding: Banding) -> Keys:
    """Return (bands, n) keys: equal if the signatures agree in the whole band.

    Keys are 32-bit hashes. Different bands collide with probability 2^-32, which costs one exact comparison.
    """
    a, b = permutations(banding)
    used = banding.bands * banding.rows
    keys: Keys = bands.band_keys(
        sets.offsets, sets.tokens, murmur3_finalizer(hashes), a[:used], b[:used], banding.bands
    )
    return keys
