"""The array implementation against brute force and datasketch."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from include.batch.lsh import brute_force, kernels
from include.batch.lsh.candidates import Index
from include.batch.lsh.reference import Reference
from include.batch.lsh.sets import Sets, collapse
from include.batch.lsh.signatures import Banding, signatures

BANDING = Banding(permutations=128, bands=32, rows=4, seed=7)
VOCABULARIES = pytest.mark.parametrize("vocabulary", [60, 3_000], ids=["bits", "lists"])


def random_sets(count: int, vocabulary: int, seed: int = 3) -> Sets:
    """Return groups of four sets around one basket of twelve tokens, in which up to five are swapped."""
    draw = np.random.default_rng(seed)
    tokens = np.repeat(draw.integers(0, vocabulary, (count // 4, 12)), 4, axis=0)
    swapped = np.arange(12) < draw.integers(0, 6, count // 4 * 4)[:, None]
    tokens[swapped] = draw.integers(0, vocabulary, int(swapped.sum()))
    return Sets.from_pairs(np.repeat(np.arange(len(tokens)), 12), tokens.ravel(), len(tokens), vocabulary)


def hashes(vocabulary: int) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    return np.random.default_rng(1).integers(0, 2**32, vocabulary, dtype=np.uint32)


def as_python(sets: Sets) -> list[set[int]]:
    return [set(part.tolist()) for part in np.split(sets.tokens, sets.offsets[1:-1])]


@VOCABULARIES
def test_pairs_equal_those_of_datasketch(vocabulary: int) -> None:
    sets = random_sets(400, vocabulary)
    index, reference = (kind.build(sets, hashes(vocabulary), BANDING) for kind in (Index, Reference))
    for threshold in (0.0, 0.5):
        actual, expected = index.pairs(threshold), reference.pairs(threshold)
        assert len(actual) > 100
        np.testing.assert_array_equal(actual.keys, expected.keys)
        np.testing.assert_array_equal(actual.similarity, expected.similarity)


def test_signatures_equal_those_of_datasketch() -> None:
    sets = random_sets(80, 3_000)
    reference = Reference.build(sets, hashes(3_000), BANDING)
    expected = np.stack([sketch.hashvalues for sketch in reference.sketches])
    np.testing.assert_array_equal(signatures(sets, hashes(3_000), BANDING), expected)


@VOCABULARIES
def test_pairs_are_exact_and_reach_the_expected_recall(vocabulary: int) -> None:
    sets = random_sets(800, vocabulary)
    result, true = Index.build(sets, hashes(vocabulary), BANDING).pairs(0.5), brute_force.pairs(sets, 0.5)
    assert brute_force.precision(result, true) == 1.0
    assert (
        brute_force.recall(result, true)
        >= np.mean([BANDING.candidate_probability(value) for value in true.similarity]) - 0.03
    )
    members = as_python(sets)
    for left, right, value in list(zip(result.left, result.right, result.similarity, strict=True))[:200]:
        assert value == len(members[left] & members[right]) / len(members[left] | members[right])


def test_brute_force_pairs_of_rows_equal_the_filtered_pairs() -> None:
    sets, rows = random_sets(200, 60), np.array([3, 50, 51])
    every, some = brute_force.pairs(sets, 0.4), brute_force.pairs(sets, 0.4, rows)
    touching = np.isin(every.left, rows) | np.isin(every.right, rows)
    np.testing.assert_array_equal(some.keys, every.keys[touching])


@VOCABULARIES
def test_nearest_equals_brute_force_in_order(vocabulary: int) -> None:
    sets = random_sets(160, vocabulary)
    one_bucket = Banding(permutations=8, bands=8, rows=1, seed=7)
    near = Index.build(sets, hashes(vocabulary), one_bucket).nearest(5, 0.3, window=10_000)
    candidates = {(a, b): value for a, b, value in _candidate_pairs(sets, vocabulary, one_bucket)}
    for row in range(len(sets)):
        actual = [
            (-value, b if a == row else a) for (a, b), value in candidates.items() if row in (a, b) and value >= 0.3
        ]
        expected = [item for _, item in sorted(actual)[:5]]
        assert near.ids[row][near.ids[row] >= 0].tolist() == expected
    assert near.cut == 0


def _candidate_pairs(sets: Sets, vocabulary: int, banding: Banding) -> list[tuple[int, int, float]]:
    result = Index.build(sets, hashes(vocabulary), banding).pairs(0.0)
    return list(zip(result.left.tolist(), result.right.tolist(), result.similarity.tolist(), strict=True))


def test_nearest_in_a_long_bucket_is_bounded_and_keeps_recall() -> None:
    sets = random_sets(2_000, 12)
    index = Index.build(sets, hashes(12), BANDING)
    near = index.nearest(5, 0.5, window=16)
    assert near.compared <= 16 * 32 * len(sets)
    assert near.cut > 0
    recall, true = brute_force.nearest_recall(near, sets, np.arange(0, len(sets), 20), 0.5)
    assert true > 0
    assert recall > 0.9


def test_nearest_recall_decreases_with_missing_neighbours() -> None:
    sets = random_sets(200, 3_000)
    near = Index.build(sets, hashes(3_000), BANDING).nearest(3, 0.4)
    rows = np.flatnonzero(near.ids[:, 0] >= 0)
    whole, true = brute_force.nearest_recall(near, sets, rows, 0.4)
    near.similarity[rows[: len(rows) // 2]] = -1
    assert brute_force.nearest_recall(near, sets, rows, 0.4)[0] < whole - 0.2
    assert true >= len(rows)


def test_nearest_is_independent_of_threads_and_repeats() -> None:
    sets = random_sets(1_000, 60)
    first = Index.build(sets, hashes(60), BANDING).nearest(5, 0.4)
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        second = Index.build(sets, hashes(60), BANDING).nearest(5, 0.4)
    finally:
        numba.set_num_threads(threads)
    np.testing.assert_array_equal(first.ids, second.ids)
    np.testing.assert_array_equal(first.similarity, second.similarity)


@given(st.lists(st.frozensets(st.integers(0, 5)), min_size=1, max_size=30))
@hypothesis_settings(deadline=None, max_examples=60)
def test_collapse_groups_identical_sets_only(members: list[frozenset[int]]) -> None:
    owners = np.array([owner for owner, tokens in enumerate(members) for _ in tokens], np.int64)
    tokens = np.array([token for tokens in members for token in tokens], np.int64)
    sets = Sets.from_pairs(owners, tokens, len(members), 6)
    assert as_python(sets) == [set(tokens) for tokens in members]
    groups = collapse(sets)
    distinct = list(dict.fromkeys(members))
    assert as_python(groups.sets) == [set(tokens) for tokens in distinct]
    assert [distinct[number] for number in groups.of] == members
    for number, members_of in enumerate(distinct):
        owned = groups.members[groups.offsets[number] : groups.offsets[number + 1]]
        assert owned.tolist() == [owner for owner, other in enumerate(members) if other == members_of]


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0.5, 0.6, 0.7])), max_size=40))
@hypothesis_settings(deadline=None, max_examples=60)
def test_push_is_independent_of_order(arrivals: list[tuple[int, float]]) -> None:
    value_of = dict(arrivals)
    ids, values = np.full(4, -1, np.int32), np.full(4, -1.0)
    for item, _ in arrivals:
        kernels.push(ids, values, item, value_of[item])
    best = sorted(value_of.items(), key=lambda entry: (-entry[1], entry[0]))[:4]
    assert list(zip(ids[ids >= 0].tolist(), values[ids >= 0].tolist(), strict=True)) == best
