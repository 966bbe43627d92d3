"""Token sets of many users as two arrays, and what is alike to the last token taken together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from include.batch.lsh import bands

Offsets = NDArray[np.int64]
Numbers = NDArray[np.int32]
Bits = NDArray[np.uint64]

MAX_WORDS = 4
"""Up to so many 64-bit words a set is also held as bits: comparing two is then a few instructions."""


@dataclass(frozen=True)
class Sets:
    """n sets over numbered tokens: set i is `tokens[offsets[i]:offsets[i + 1]]`, ascending, none twice.

    `vocabulary` is how many tokens there are; `bits` (n, words) holds the same sets where the vocabulary is
    small, and has no columns where it is not.
    """

    offsets: Offsets
    tokens: Numbers
    vocabulary: int
    bits: Bits

    @classmethod
    def of(cls, offsets: Offsets, tokens: Numbers, vocabulary: int) -> "Sets":
        """Sets out of their arrays."""
        words = (vocabulary + 63) // 64
        bits = np.zeros((len(offsets) - 1, words if words <= MAX_WORDS else 0), np.uint64)
        if bits.size:
            bands.fill_bits(offsets, tokens, bits)
        return cls(offsets, tokens, vocabulary, bits)

    @classmethod
    def from_pairs(cls, owners: NDArray[np.int64], tokens: NDArray[np.int64], count: int, vocabulary: int) -> "Sets":
        """Sets of `count` owners out of (owner, token) pairs in any order, each any number of times."""
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
        """Only these sets, in their order."""
        sizes = self.sizes[rows]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])
        positions = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], sizes)
        return Sets(offsets, self.tokens[positions], self.vocabulary, np.ascontiguousarray(self.bits[rows]))


@dataclass(frozen=True)
class Groups:
    """Owners whose sets are identical, taken together: thousands of visitors of a small shop are.

    `sets` are the distinct ones in the order of their first owner; `of` (owners,) is each owner's set;
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

    A pair of different sets with one hash is told apart by its tokens; at worst identical sets then stay two groups.
    """
    hashes = bands.set_hashes(sets.offsets, sets.tokens)
    order = np.argsort(hashes, kind="stable")
    first = bands.firsts_of_identical(sets.offsets, sets.tokens, hashes, order)
    distinct, of = np.unique(first, return_inverse=True)
    members = np.argsort(of, kind="stable").astype(np.int32)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(of, minlength=len(distinct)))])
    return Groups(sets.take(distinct), of.astype(np.int32), offsets.astype(np.int64), members)
