"""Token sets of many users as two arrays, and groups of identical sets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from include.batch.lsh import bands

Offsets = NDArray[np.int64]
Numbers = NDArray[np.int32]
Bits = NDArray[np.uint64]

MAX_WORDS = 4
"""Maximum 64-bit words per set up to which sets are also stored as bits, because bits compare faster."""


@dataclass(frozen=True)
class Sets:
    """n sets of token numbers: set i is `tokens[offsets[i]:offsets[i + 1]]`, ascending and distinct.

    `vocabulary` is the number of tokens. `bits` (n, words) stores the same sets as bits if the vocabulary is small;
    otherwise it has no columns.
    """

    offsets: Offsets
    tokens: Numbers
    vocabulary: int
    bits: Bits

    @classmethod
    def of(cls, offsets: Offsets, tokens: Numbers, vocabulary: int) -> "Sets":
        """Build sets from their arrays."""
        words = (vocabulary + 63) // 64
        bits = np.zeros((len(offsets) - 1, words if words <= MAX_WORDS else 0), np.uint64)
        if bits.size:
            bands.fill_bits(offsets, tokens, bits)
        return cls(offsets, tokens, vocabulary, bits)

    @classmethod
    def from_pairs(cls, owners: NDArray[np.int64], tokens: NDArray[np.int64], count: int, vocabulary: int) -> "Sets":
        """Build the sets of `count` owners from unordered (owner, token) pairs; duplicates are ignored."""
        pairs = np.unique(owners * np.int64(max(vocabulary, 1)) + tokens)
        sizes = np.bincount(pairs // max(vocabulary, 1), minlength=count)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])
        return cls.of(offsets, (pairs % max(vocabulary, 1)).astype(np.int32), vocabulary)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def sizes(self) -> Offsets:
        """(n,) tokens of each set."""
        return np.diff(self.offsets)

    def take(self, rows: NDArray[np.int64]) -> "Sets":
        """Return these sets, in the given order."""
        sizes = self.sizes[rows]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])
        positions = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], sizes)
        return Sets(offsets, self.tokens[positions], self.vocabulary, np.ascontiguousarray(self.bits[rows]))


@dataclass(frozen=True)
class Groups:
    """Owners grouped by identical sets.

    `sets` are the distinct sets in the order of their first owner. `of` (owners,) is the set of each owner.
    `members[offsets[s]:offsets[s + 1]]` are the owners of set s, ascending.
    """

    sets: Sets
    of: Numbers
    offsets: Offsets
    members: Numbers

    @property
    def sizes(self) -> Offsets:
        """(sets,) owners of each distinct set."""
        return np.diff(self.offsets)


def collapse(sets: Sets) -> Groups:
    """Group identical sets.

    Different sets with equal hashes are distinguished by their tokens. In that case identical sets can remain two
    groups.
    """
    hashes = bands.set_hashes(sets.offsets, sets.tokens)
    order = np.argsort(hashes, kind="stable")
    first = bands.first_identical(sets.offsets, sets.tokens, hashes, order)
    distinct, of = np.unique(first, return_inverse=True)
    members = np.argsort(of, kind="stable").astype(np.int32)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(of, minlength=len(distinct)))])
    return Groups(sets.take(distinct), of.astype(np.int32), offsets.astype(np.int64), members)
