"""Search the nearest neighbours of each user, and measure the recall against brute force."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from include.batch.lsh import brute_force, neighbours
from include.batch.lsh.candidates import Index, Nearest
from include.batch.lsh.neighbours import STATUSES, Neighbours
from include.batch.lsh.sets import Groups, Sets, collapse
from include.batch.lsh.signatures import Banding
from include.batch.lsh.tokens import Users
from include.batch.parameters import Parameters

RECALL_SAMPLE_SETS = 500
"""Distinct sets whose neighbours are also searched by brute force."""


def search(users: Users, parameters: Parameters) -> tuple[Neighbours, dict[str, Any]]:
    """Search neighbours of all users with enough tokens; return them and the metrics of the search."""
    similar = parameters.similar
    banding = Banding(similar.permutations, similar.bands, similar.rows, parameters.seed)
    eligible = np.flatnonzero(users.sets.sizes >= similar.min_tokens)
    groups = collapse(users.sets.take(eligible))
    near = Index.build(groups.sets, users.hashes, banding).nearest(similar.neighbours, similar.threshold)
    rows = _sample(groups, parameters.seed)
    recall, total = brute_force.nearest_recall(near, groups.sets, rows, similar.threshold)
    result = neighbours.neighbours(users, eligible, groups, near)
    counts = dict(zip(STATUSES, np.bincount(result.status, minlength=len(STATUSES)).tolist(), strict=True))
    return result, {
        "users": len(users.ids),
        "with_neighbours": counts["alike"],
        "nobody_alike": counts["nobody_alike"],
        "too_few_tokens": counts["too_few_tokens"],
        "tokens": len(users.tokens),
        "tokens_of_a_user": round(float(users.sets.sizes.mean()), 2),
        "distinct_sets": len(groups.sets),
        "most_users_of_one_set": int(groups.sizes.max(initial=0)),
        "similarity_of_the_nearest": _quartiles(result),
        **_pair_counts(near, groups.sets),
        "recall": round(recall, 5),
        "recall_expected": round(banding.candidate_probability(similar.threshold), 5),
        "recall_of": {"distinct_sets": len(rows), "neighbours": total},
        "threshold": similar.threshold,
        "banding": {"permutations": similar.permutations, "bands": similar.bands, "rows": similar.rows},
    }


def example(result: Neighbours) -> dict[str, object] | None:
    """Return a typical user with a full list of neighbours and the shared tokens; None without neighbours.

    Users with an identical token set are excluded.
    """
    list_length = (result.ids >= 0).sum(axis=1) * (result.same == 0)
    if not list_length.any():
        return None
    # Prefer typical users: very many tokens suggests a bot, very few match everyone.
    distance_from_median = np.abs(result.users.sets.sizes - np.median(result.users.sets.sizes))
    row = int(np.argmin(np.where(list_length == list_length.max(), distance_from_median, np.inf)))
    tokens, counts = neighbours.shared_tokens(result, row, row + 1)
    users = result.users
    return {
        "user_id": users.ids[row],
        "tokens": [users.tokens[t] for t in users.sets.tokens[users.sets.offsets[row] : users.sets.offsets[row + 1]]],
        "neighbours": [
            {
                "user_id": users.ids[other],
                "similarity": round(float(result.similarity[row, rank]), 4),
                "shared_tokens": int(counts[0, rank]),
                "shared": [users.tokens[token] for token in tokens[0, rank] if token >= 0],
            }
            for rank, other in enumerate(result.ids[row])
            if other >= 0
        ],
    }


def digest(result: Neighbours) -> str:
    """Return SHA-256 over neighbours, similarities and order: equal for equal runs."""
    sha256 = hashlib.sha256("\n".join(result.users.ids).encode())
    for numbers in (result.ids, result.similarity, result.status):
        sha256.update(np.ascontiguousarray(numbers).tobytes())
    return sha256.hexdigest()


def _sample(groups: Groups, seed: int) -> NDArray[np.int64]:
    count = len(groups.sets)
    if count <= RECALL_SAMPLE_SETS:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, RECALL_SAMPLE_SETS, replace=False))


def _quartiles(result: Neighbours) -> list[float]:
    nearest = result.similarity[result.ids[:, 0] >= 0, 0]
    return [round(float(value), 4) for value in np.quantile(nearest, (0.25, 0.5, 0.75))] if len(nearest) else []


def _pair_counts(near: Nearest, sets: Sets) -> dict[str, int]:
    return {"pairs": len(sets) * (len(sets) - 1) // 2, "compared": near.compared, "left_out_of_long_buckets": near.cut}
