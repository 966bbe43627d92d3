"""Reference implementation with datasketch: slower, with the same results as the array implementation."""

import numpy as np
from datasketch import MinHash, MinHashLSH

from include.batch.lsh import kernels
from include.batch.lsh.candidates import Pairs
from include.batch.lsh.sets import Sets
from include.batch.lsh.signatures import MAX_SEED, SCHEME, Banding, Hashes


class Reference:
    """The interface of `candidates.Index` on datasketch's sketches and buckets."""

    def __init__(self, sets: Sets, sketches: list[MinHash], index: MinHashLSH) -> None:
        self.sets = sets
        self.sketches = sketches
        self._index = index

    @classmethod
    def build(cls, sets: Sets, hashes: Hashes, banding: Banding) -> "Reference":
        """Sketch and insert every set; `hashes` (vocabulary,) are the token hashes."""
        rows = np.split(hashes[sets.tokens], sets.offsets[1:-1])
        sketches = MinHash.bulk(
            rows, num_perm=banding.permutations, seed=banding.seed % MAX_SEED, hashfunc=int, scheme=SCHEME
        )
        index = MinHashLSH(num_perm=banding.permutations, params=(banding.bands, banding.rows))
        for number, sketch in enumerate(sketches):
            index.insert(number, sketch, check_duplication=False)
        return cls(sets, sketches, index)

    def pairs(self, threshold: float) -> Pairs:
        """Return all pairs that share a band and have at least this similarity; 0 returns all candidates."""
        offsets, tokens, bits = self.sets.offsets, self.sets.tokens, self.sets.bits
        left, right, similarity = [], [], []
        for number, sketch in enumerate(self.sketches):
            for other in sorted(other for other in self._index.query(sketch) if other > number):
                value = kernels.jaccard(offsets, tokens, bits, number, other, threshold)
                if value >= threshold:
                    left.append(number)
                    right.append(other)
                    similarity.append(value)
        return Pairs(np.array(left, np.int32), np.array(right, np.int32), np.array(similarity, np.float64))
