"""Candidate pairs that share a band of their signatures, verified exactly, on arrays."""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from include.batch.lsh import bands, kernels
from include.batch.lsh.sets import Numbers, Sets
from include.batch.lsh.signatures import Banding, Hashes, Keys, band_keys

BUCKET_WINDOW = 128
"""Maximum later sets of its bucket that a set is compared with, so that long buckets stay cheap."""
BLOCKS_PER_CORE = 16

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """m distinct pairs, `left` < `right`, sorted by (left, right), with their exact similarity."""

    left: Numbers
    right: Numbers
    similarity: Values

    def __len__(self) -> int:
        return len(self.left)

    @property
    def keys(self) -> NDArray[np.int64]:
        """(m,) one number for each pair, ascending."""
        return (self.left.astype(np.int64) << 32) | self.right.astype(np.int64)


@dataclass(frozen=True)
class Nearest:
    """The k nearest neighbours of each set: `ids` (n, k), -1 for missing neighbours, and `similarity` (n, k).

    Neighbours are sorted by falling similarity, then by id. `compared` counts the verified pairs, once per shared band.
    `cut` counts the pairs of long buckets that were skipped.
    """

    ids: Numbers
    similarity: Values
    compared: int
    cut: int


@dataclass(frozen=True)
class Index:
    """Buckets of all bands: `keys` (bands, n) of each set, `order` (bands, n) of sets by key, and `sorted_keys`."""

    sets: Sets
    keys: Keys
    order: Numbers
    sorted_keys: Keys

    @classmethod
    def build(cls, sets: Sets, hashes: Hashes, banding: Banding) -> "Index":
        """Sign the sets and sort their band keys.

        Memory: 12 bytes per band and set.

        Args:
            sets: n token sets.
            hashes: hash of each token (vocabulary,).
            banding: permutations, bands and rows.
        """
        keys = band_keys(sets, hashes, banding)
        return cls(sets, keys, *bands.sort_bands(keys))

    def pairs(self, threshold: float) -> Pairs:
        """Return all pairs that share a band and have at least this similarity; 0 returns all candidates."""
        counts = self._into(np.zeros(len(self.keys), np.int64), 0, threshold)[0]
        left, right, similarity = self._into(np.cumsum(counts) - counts, int(counts.sum()), threshold)[1]
        order = np.lexsort((right, left))
        return Pairs(left[order], right[order], similarity[order])

    def nearest(self, k: int, threshold: float, window: int = BUCKET_WINDOW) -> Nearest:
        """Return the k nearest neighbours of each set among sets that share a band, from this similarity on."""
        n = len(self.sets)
        ids, values = np.full((n, k), kernels.NONE, np.int32), np.full((n, k), -1.0)
        compared = cut = 0
        for keys, order in zip(self.sorted_keys, self.order, strict=True):
            parts = bands.split_blocks(keys, BLOCKS_PER_CORE * numba.get_num_threads())
            counts = kernels.nearest_of_band(keys, order, parts, self._arrays, threshold, window, (ids, values))
            compared, cut = compared + int(counts[0]), cut + int(counts[1])
        return Nearest(ids, values, compared, cut)

    def _into(
        self, starts: NDArray[np.int64], size: int, threshold: float
    ) -> tuple[NDArray[np.int64], tuple[Numbers, Numbers, Values]]:
        """Write the pairs of each band from its start on; a size of 0 counts them only."""
        into = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size)
        counts: NDArray[np.int64] = kernels.pairs(
            self.keys, self.order, self.sorted_keys, self._arrays, threshold, (starts, *into)
        )
        return counts, into

    @property
    def _arrays(self) -> tuple[NDArray[np.int64], Numbers, NDArray[np.uint64]]:
        return self.sets.offsets, self.sets.tokens, self.sets.bits
