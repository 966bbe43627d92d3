"""Sets that share a band of their signatures, each pair checked exactly: the array path."""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from include.batch.lsh import bands, kernels
from include.batch.lsh.sets import Numbers, Sets
from include.batch.lsh.signatures import Banding, Hashes, Keys, band_keys

WINDOW = 128
"""Sets behind it in its bucket that a set is compared with at most: bounds the work on buckets of any size."""
BLOCKS_OF_A_CORE = 16

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """m pairs, `left` < `right`, each once, ordered by (left, right), with their exact similarity."""

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
    """For each set its k nearest: `ids` (n, k), -1 where there are no more, and `similarity` (n, k).

    Nearest first, the lower number first among equals. `compared` pairs were checked (again in each band that they
    share), `cut` were left out of long buckets.
    """

    ids: Numbers
    similarity: Values
    compared: int
    cut: int


@dataclass(frozen=True)
class Index:
    """Buckets of all bands: `keys` (bands, n) of each set, `order` (bands, n) the sets by key, and those keys."""

    sets: Sets
    keys: Keys
    order: Numbers
    sorted_keys: Keys

    @classmethod
    def build(cls, sets: Sets, hashes: Hashes, banding: Banding) -> "Index":
        """Sign and sort; `hashes` (vocabulary,) are those of the tokens. Memory: 12 bytes a band and set."""
        keys = band_keys(sets, hashes, banding)
        return cls(sets, keys, *bands.ordered(keys))

    def pairs(self, threshold: float) -> Pairs:
        """All pairs that share a band and are at least this similar; 0 gives all candidates."""
        counts = self._into(np.zeros(len(self.keys), np.int64), 0, threshold)[0]
        left, right, similarity = self._into(np.cumsum(counts) - counts, int(counts.sum()), threshold)[1]
        order = np.lexsort((right, left))
        return Pairs(left[order], right[order], similarity[order])

    def nearest(self, k: int, threshold: float, window: int = WINDOW) -> Nearest:
        """The k nearest of each set, of those at least this similar that it shares a band with."""
        n = len(self.sets)
        ids, values = np.full((n, k), kernels.NONE, np.int32), np.full((n, k), -1.0)
        compared = cut = 0
        for keys, order in zip(self.sorted_keys, self.order, strict=True):
            parts = bands.blocks(keys, BLOCKS_OF_A_CORE * numba.get_num_threads())
            seen = kernels.nearest_of_band(keys, order, parts, self._arrays, threshold, window, (ids, values))
            compared, cut = compared + int(seen[0]), cut + int(seen[1])
        return Nearest(ids, values, compared, cut)

    def _into(
        self, starts: NDArray[np.int64], size: int, threshold: float
    ) -> tuple[NDArray[np.int64], tuple[Numbers, Numbers, Values]]:
        """Pairs of each band, written from its start on; without a size they are only counted."""
        into = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size)
        counts: NDArray[np.int64] = kernels.pairs(
            self.keys, self.order, self.sorted_keys, self._arrays, threshold, (starts, *into)
        )
        return counts, into

    @property
    def _arrays(self) -> tuple[NDArray[np.int64], Numbers, NDArray[np.uint64]]:
        return self.sets.offsets, self.sets.tokens, self.sets.bits
